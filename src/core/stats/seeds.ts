import { mean, variance } from './samples.ts';

/** A quantity over several training seeds. */
export interface AcrossSeeds {
  seeds: number;
  mean: number;
  /** Standard deviation between seeds; null for one. It holds the noise of each run's own samples as well. */
  sd: number | null;
  /** 95 % interval of the mean by Student's t with n - 1 degrees of freedom; null for one seed. */
  low: number | null;
  high: number | null;
}

/**
 * Mean over training seeds and its interval, mean ± t(0.975, n - 1) · s / √n (Student 1908): seeds are the unit, so the
 * interval covers what another seed would change, and with two or three of them it is honestly wide.
 */
export function acrossSeeds(values: readonly number[]): AcrossSeeds {
  const centre = mean(values);
  const n = values.length;
  if (n < 2) return { seeds: n, mean: centre, sd: null, low: null, high: null };
  const sd = Math.sqrt(variance(values));
  const half = (studentT975(n - 1) * sd) / Math.sqrt(n);
  return { seeds: n, mean: centre, sd, low: centre - half, high: centre + half };
}

/** 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom. */
const T_975 = [
  12.706204736174705, 4.302652729749464, 3.182446305283709, 2.776445105197793, 2.570581835636314, 2.446911851144979,
  2.364624251592785, 2.306004135204166, 2.262157162798205, 2.228138851986273, 2.20098516009164, 2.178812829667228,
  2.16036865646279, 2.144786687917804, 2.131449545559773, 2.119905299221254, 2.109815577833317, 2.100922040241038,
  2.093024054408309, 2.085963447265863, 2.079613844727661, 2.073873067904019, 2.068657610419048, 2.063898561628021,
  2.059538552753298, 2.055529438642872, 2.051830516480285, 2.048407141795245, 2.045229642132703, 2.042272456301238,
];

/** Beyond the table by Cornish and Fisher's expansion (Abramowitz & Stegun 26.7.5), exact to six digits there. */
export function studentT975(degreesOfFreedom: number): number {
  const tabled = T_975[degreesOfFreedom - 1];
  if (tabled !== undefined) return tabled;
  const z = 1.959963984540054;
  const v = degreesOfFreedom;
  return (
    z +
    (z ** 3 + z) / (4 * v) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * v ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * v ** 3) +
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / (92_160 * v ** 4)
  );
}
