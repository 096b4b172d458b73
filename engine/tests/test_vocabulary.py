"""Stop strings are decided by a table per token where that is possible, and by the text where it is not."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from engine.base.countdown_corpus import EOS, TOKEN_ID, VOCABULARY, encode
from engine.base.train import build_tokenizer
from engine.vocabulary import ENDS, GOES_ON, LOOK_AT_TEXT, Stops, Vocabulary


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return Vocabulary(build_tokenizer().backend_tokenizer, len(VOCABULARY), [EOS])


def test_pieces_are_the_text_of_tokens(words):
    assert words.pieces[3:] == VOCABULARY[3:]
    assert words.pieces[EOS] == ""


def test_a_stop_string_of_one_token_is_decided_without_text(words):
    table = words.stop_table(Stops(("\n",)))
    assert table[TOKEN_ID["\n"]] == ENDS and table[EOS] == ENDS
    assert (table == GOES_ON).sum() == len(VOCABULARY) - 2


def test_a_token_that_may_complete_a_longer_string_is_looked_at(words):
    table = words.stop_table(Stops(("12=",)))
    assert table[TOKEN_ID["="]] == LOOK_AT_TEXT and table[TOKEN_ID["12"]] == GOES_ON
    assert words.matched_string(encode("3*4=12="), Stops(("12=",))) == "12="
    assert words.matched_string(encode("3*4=13="), Stops(("12=",))) is None


def test_the_string_that_ends_first_wins(words):
    assert words.matched_string(encode("Wait go back to "), Stops((" to ", "back"))) == "back"


def test_text_is_cut_before_or_after_the_stop_string(words):
    tokens = encode("1+2=3 left 3")
    assert words.completion_text(tokens, "lef", keep_matched=False) == "1+2=3 "
    assert words.completion_text(tokens, "lef", keep_matched=True) == "1+2=3 lef"


def test_characters_made_of_several_tokens_are_found():
    tokenizer = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[])
    )
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    vocabulary = Vocabulary(tokenizer, 256, [])
    tokens, stops = vocabulary.encode("aé"), Stops(("é",))
    table = vocabulary.stop_table(stops)
    assert [int(table[t]) for t in tokens] == [GOES_ON, LOOK_AT_TEXT, LOOK_AT_TEXT]
    assert vocabulary.matched_string(tokens[:-1], stops) is None
    assert vocabulary.matched_string(tokens, stops) == "é"
