import type { RecipeConfig } from '../../../config/job-schema.ts';
import { nemoRlRecipe } from './nemo-rl.ts';
import { openrlhfRecipe } from './openrlhf.ts';
import type { Recipe } from './recipe.ts';
import { trlRecipe } from './trl.ts';
import { verlRecipe } from './verl.ts';

/** The recipe that a configuration names. */
export function createRecipe(config: RecipeConfig): Recipe {
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
