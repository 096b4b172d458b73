import type { RecipeConfig } from '../../../config/job-schema.ts';
import { ServiceError } from '../../errors.ts';
import type { Recipe } from './recipe.ts';
import { trlRecipe } from './trl.ts';

/** The recipe that a configuration names. */
export function createRecipe(config: RecipeConfig): Recipe {
  switch (config.kind) {
    case 'trl':
      return trlRecipe(config);
    default: {
      const missing = () => {
        throw new ServiceError('fatal', `there is no recipe "${config.kind}"`, { service: 'policy.trainer.recipe' });
      };
      return { name: config.kind, prepare: missing, collect: missing };
    }
  }
}
