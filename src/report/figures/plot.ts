import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { escapeText } from '../html/escape.ts';

/** Text in figures; Plot's own 10 px is small on a phone. */
const FONT_SIZE = 12;

/**
 * Observable Plot's drawing as SVG text that needs no DOM: an image with a text alternative, without Plot's own style
 * sheet (the page has one) and without ids that count up, so that the same options give the same text.
 */
export function plotSvg(options: Plot.PlotOptions, alt: string): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const svg = Plot.plot({ ...options, document });
  svg.querySelector('style')?.remove();
  // Everything below `role="img"` is one image to a screen reader; labels of its parts would go unheard.
  for (const part of svg.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label');
  for (const part of svg.querySelectorAll('[aria-hidden]')) part.removeAttribute('aria-hidden');
  for (const part of svg.querySelectorAll('*')) {
    for (const name of geometry) {
      const value = part.getAttribute(name);
      if (value !== null) part.setAttribute(name, rounded(value));
    }
  }
  svg.removeAttribute('class');
  svg.setAttribute('font-size', String(FONT_SIZE));
  svg.setAttribute('font-family', 'inherit');
  return svg.outerHTML.replace(
    /^<svg /,
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${escapeText(alt)}" `,
  );
}

const geometry = ['d', 'transform', 'x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'width', 'height'];

/** Hundredths of a pixel: finer ones are not seen, take half of a file, and may differ from machine to machine. */
function rounded(value: string): string {
  return value.replace(/-?\d+\.\d{3,}(e-\d+)?/g, (number) => String(Math.round(Number(number) * 100) / 100));
}
