import type { RecipeConfig } from '../../../config/job-schema.ts';
import { nemoRlRecipe } from './nemo-rl.ts';
import { openrlhfRecipe } from './openrlhf.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import { trlRecipe } from './trl.ts';
import { verlRecipe } from './verl.ts';

/** The recipe that a configuration names, each stage with its own options. */
export function createRecipe(config: RecipeConfig): Recipe {
  const { options, sftOptions, rlOptions } = config;
  const sft = recipeWith({ ...config, options: { ...options, ...sftOptions } });
  const rl = recipeWith({ ...config, options: { ...options, ...rlOptions } });
  const of = ({ stage }: RecipeInput) => (stage === 'sft' ? sft : rl);
  return { ...sft, prepare: (input) => of(input).prepare(input), collect: (input) => of(input).collect(input) };
}

function recipeWith(config: RecipeConfig): Recipe {
  switch (config.kind) {
    case 'trl':
      return trlRecipe(config);
    case 'verl':
      return verlRecipe(config);
    case 'openrlhf':
      return openrlhfRecipe(config);
    case 'nemo-rl':
      return nemoRlRecipe(config);
  }
}
