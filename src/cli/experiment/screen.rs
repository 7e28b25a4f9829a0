//! A report for a person: what each arm amounts to, the differences, and what they let one say.
//!
//! **Invariant:** every figure stands beside what it is a share of; nothing is shown that the JSON does not have.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use crate::experiment::{Arm, Estimate, Figures, Report, Scale};

pub struct Screen<'a>(pub &'a Report);

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_of = self.0.as_of.map_or_else(|| "before the first event".to_owned(), |as_of| format!("as of {as_of}"));
        writeln!(f, "{}: {}, {as_of}\n", self.0.segment, self.subject())?;
        writeln!(f, "{}\n", table(["", "treatment", "control"], self.arms()))?;
        let differences = self.differences();
        if !differences.is_empty() {
            writeln!(f, "{}\n", table(["", "difference", "95% interval", "could have been seen"], differences))?;
        }
        if let Some(dealt) = self.dealt() {
            writeln!(f, "{dealt}\n")?;
        }
        self.0.verdict().iter().try_for_each(|sentence| writeln!(f, "{sentence}"))
    }
}

impl Screen<'_> {
    /// `orders within 30d of the entry, 50% held out`
    fn subject(&self) -> String {
        let experiment = &self.0.experiment;
        let goal = match &experiment.goal {
            None => "no goal".to_owned(),
            Some(goal) => {
                let within = goal.within.map_or_else(|| "after the entry".to_owned(), |within| format!("within {within} of the entry"));
                format!("{} {within}", goal.stream)
            }
        };
        format!("{goal}, {} held out", experiment.holdout)
    }

    fn arms(&self) -> Vec<[String; 3]> {
        let row = |name: &str, of: &dyn Fn(&Figures) -> String| {
            let [treatment, control] = Arm::ALL.map(|arm| of(self.0.arms.of(arm)));
            [name.to_owned(), treatment, control]
        };
        let mut rows = vec![row("exposed", &|figures| figures.exposed.to_string())];
        let Some(goal) = &self.0.experiment.goal else { return rows };
        if goal.within.is_some() {
            rows.push(row("  still open", &|figures| share(figures.open, figures)));
        }
        for (step, stream) in self.0.steps().iter().enumerate() {
            let name = if step == 0 { format!("  first {stream}") } else { format!("  then {stream}") };
            rows.push(row(&name, &|figures| share(figures.reached(step), figures)));
        }
        rows.push(row("converted", &|figures| share(figures.converted, figures)));
        rows.push(row(&goal.stream, &|figures| figures.goals.to_string()));
        if let Some(value) = &goal.value {
            rows.push(row(&format!("{}.{value}", goal.stream), &|figures| figures.value.to_string()));
            rows.push(row("  for each exposed", &|figures| {
                figures.mean().map_or_else(|| "-".to_owned(), |mean| Scale::Amount.level(mean.approximate()))
            }));
        }
        rows
    }

    fn differences(&self) -> Vec<[String; 4]> {
        let comparison = &self.0.comparison;
        let row = |name: &str, estimate: Option<Estimate>, scale: Scale| {
            let estimate = estimate?;
            let detectable = estimate.detectable.map_or_else(|| "no rise".to_owned(), |smallest| scale.difference(smallest));
            let interval = scale.interval(estimate.low, estimate.high);
            Some([name.to_owned(), scale.difference(estimate.difference), interval, detectable])
        };
        let rows = [row("converted", comparison.conversion, Scale::Share), row("value for each exposed", comparison.value, Scale::Amount)];
        rows.into_iter().flatten().collect()
    }

    fn dealt(&self) -> Option<String> {
        let control = self.0.arms.control.exposed as f64 / self.0.arms.exposed() as f64;
        let judged = match self.0.comparison.dealt {
            None => "too few to tell".to_owned(),
            Some(dealt) => format!("{} (p = {:.3})", if dealt.is_plausible() { "as dealt" } else { "not as dealt" }, dealt.p),
        };
        let exposed = self.0.arms.exposed() > 0;
        exposed.then(|| {
            format!("{} of the exposed are in control, {} are due: {judged}", Scale::Share.level(control), self.0.experiment.holdout)
        })
    }
}

fn share(count: u64, of: &Figures) -> String {
    if of.exposed == 0 { count.to_string() } else { format!("{count} ({})", Scale::Share.level(count as f64 / of.exposed as f64)) }
}

fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}
