import { parseHTML } from 'linkedom';

/** What a model, a problem or a name could hold to run something in a reader's browser. */
export const hostile =
  `</script><script>alert(1)</script><img src=x onerror=alert(2)>"onmouseover="alert(3)' autofocus onfocus='alert(4)` +
  `<svg onload=alert(5)><a href="javascript:alert(6)">x</a></title></style></textarea><!-- --><iframe srcdoc="x">` +
  '&lt;img src=x onerror=alert(7)&gt;\u0000\u2028]]><math href="javascript:alert(8)">`$' +
  '{alert(9)}`';

const harmless = /^(svg|g|path|rect|circle|line|text|tspan|title|desc|style)$/;

/** Elements and attributes in markup that only text from outside could have brought there. */
export function markupOf(markup: string, allowed: RegExp = harmless): string[] {
  const { document } = parseHTML(`<!doctype html><html><body>${markup}</body></html>`);
  return [...document.body.querySelectorAll('*')].flatMap((element) => {
    const name = element.tagName.toLowerCase();
    const attributes = element
      .getAttributeNames()
      .filter((attribute: string) => /^on|^srcdoc$|^style$/i.test(attribute));
    const links = ['href', 'src', 'xlink:href'].filter((one) =>
      /^(?!#|data:font\/)/.test(element.getAttribute(one) ?? '#'),
    );
    return [
      ...(allowed.test(name) ? [] : [`<${name}>`]),
      ...[...attributes, ...links].map((attribute) => `<${name} ${attribute}>`),
    ];
  });
}
