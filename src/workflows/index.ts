export { astroPipeline } from './astro-pipeline.ts';
export { evaluate } from './evaluate.ts';
export { fineTune } from './fine-tune.ts';
export { linearizeCorpus } from './linearize-corpus.ts';
export { reinforce } from './reinforce.ts';
export { searchCorpus } from './search-corpus.ts';
export { searchProblem } from './search-problem.ts';
export { searchShard } from './search-shard.ts';
