import type { RecipeConfig } from '../../../config/job-schema.ts';
import { ServiceError } from '../../errors.ts';
import type { Recipe } from './recipe.ts';

/** The recipe that a configuration names. */
export function createRecipe(config: RecipeConfig): Recipe {
  throw new ServiceError('fatal', `there is no recipe "${config.kind}"`, { service: 'policy.trainer.recipe' });
}
