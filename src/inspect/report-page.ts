import { artifactNames, type Plan } from '../config/plan.ts';
import type { Summary } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { readReportData } from './report-data.ts';

/** Makes `report.html` of a run that has its summary and gives its name in the store. It is a view: written anew. */
export async function writeReportPage(store: ArtifactStore, plan: Plan, summary: Summary): Promise<string> {
  // Figures and formulas load packages that nothing else needs.
  const { renderPage } = await import('../report/html/document.ts');
  const name = artifactNames.run(plan.run, 'report.html');
  await store.replaceText(name, renderPage(await readReportData(store, plan, summary)));
  return name;
}
