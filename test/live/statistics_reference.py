"""Answers the cases of test/core/stats/reference-cases.ts with SciPy and statsmodels: JSON in, JSON out."""

import itertools
import json
import sys

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def wilson(case):
    low, high = proportion_confint(case["right"], case["n"], alpha=0.05, method="wilson")
    other = stats.binomtest(case["right"], case["n"]).proportion_ci(0.95, method="wilson")
    assert abs(other.low - low) < 1e-9 and abs(other.high - high) < 1e-9, (other, low, high)
    return [float(low), float(high)]


def pass_at_k(case):
    return float(1 - stats.hypergeom.pmf(0, case["n"], case["right"], case["k"]))


def maj_at_k(case):
    """Over all compositions of k votes, by their multivariate hypergeometric probability."""
    classes = case["classes"]
    sizes = [one["count"] for one in classes] + [case["abstentions"]]
    total = 0.0
    for votes in itertools.product(*(range(size + 1) for size in sizes)):
        if sum(votes) != case["k"]:
            continue
        most = max(votes[:-1])
        winners = [one["right"] for one, count in zip(classes, votes[:-1]) if count == most and most > 0]
        if winners:
            total += stats.multivariate_hypergeom.pmf(votes, sizes, case["k"]) * sum(winners) / len(winners)
    return float(total)


def holm(p_values):
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def sign_flip(differences):
    result = stats.permutation_test(
        (np.array(differences),),
        lambda values, axis: np.round(np.abs(np.mean(values, axis=axis)), 12),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    return float(result.pvalue)


def detectable(differences):
    return float((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * stats.sem(differences))


def variance(problems):
    """One-way ANOVA with equal group sizes: within = MSW, between = (MSB - MSW) / n, not below 0."""
    within = float(np.mean([np.var(samples, ddof=1) for samples in problems]))
    if within == 0:
        return {"between": float(np.var([np.mean(samples) for samples in problems], ddof=1)), "within": 0.0}
    f = float(stats.f_oneway(*problems).statistic)
    return {"between": max(0.0, (f - 1) * within / len(problems[0])), "within": within}


def bootstrap(values):
    result = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1))
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


functions = {
    "wilson": wilson,
    "passAtK": pass_at_k,
    "majAtK": maj_at_k,
    "holm": holm,
    "signFlip": sign_flip,
    "detectable": detectable,
    "studentT975": lambda df: float(stats.t.ppf(0.975, df)),
    "variance": variance,
    "bootstrap": bootstrap,
}
cases = json.load(sys.stdin)
answers = {name: [function(case) for case in cases[name]] for name, function in functions.items()}
json.dump({"versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__}, **answers}, sys.stdout)
