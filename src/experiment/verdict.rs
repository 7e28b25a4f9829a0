//! A report in plain words, for somebody who has to decide and has no statistics at hand.
//!
//! **Invariant:** what cannot be told is said before what can: arms that were not dealt as intended stand first, and a
//! difference whose interval contains 0 is called inconclusive, whatever its size.

use super::{Arm, Estimate, Finding, Report, SampleRatio};

impl Report {
    /// One sentence or two for each thing to know, the most important first.
    pub fn verdict(&self) -> Vec<String> {
        if let Some(nothing) = self.nothing_to_compare() {
            return vec![nothing];
        }
        let misdealt = self.comparison.dealt.filter(|dealt| !dealt.is_plausible()).map(|dealt| self.misdealt(dealt));
        let said = [misdealt, self.conversion(), self.value(), self.open(), self.recounted()];
        said.into_iter().flatten().collect()
    }

    fn nothing_to_compare(&self) -> Option<String> {
        if self.arms.exposed() == 0 {
            return Some("Nobody has been exposed: no entry has counted since the experiment was defined.".into());
        }
        let empty = Arm::ALL.iter().find(|arm| self.arms.of(**arm).exposed == 0)?;
        Some(format!("There is nothing to compare: nobody was exposed in the {} arm.", empty.as_str()))
    }

    fn misdealt(&self, dealt: SampleRatio) -> String {
        let (control, all) = (self.arms.control.exposed, self.arms.exposed());
        format!(
            "The arms are not those that were dealt: {control} of {all} customers ({}) are in the control arm, where {} are due; \
             chance alone does that {}. Find out why first: no difference can be trusted.",
            Scale::Share.level(control as f64 / all as f64),
            self.experiment.holdout,
            how_often(dealt.p)
        )
    }

    fn conversion(&self) -> Option<String> {
        let goal = self.experiment.goal.as_ref()?;
        let levels = [self.arms.treatment.rate()?, self.arms.control.rate()?];
        Some(self.sentence(&format!("conversion to {}", goal.stream), levels, &self.comparison.conversion?, Scale::Share))
    }

    fn value(&self) -> Option<String> {
        let goal = self.experiment.goal.as_ref()?;
        let what = format!("{}.{} for each exposed customer", goal.stream, goal.value.as_ref()?);
        let Some(estimate) = self.comparison.value else {
            return Some(format!("Unknown for {what}: there are too few customers, or no two values that differ."));
        };
        let levels = [self.arms.treatment.mean()?, self.arms.control.mean()?].map(|mean| mean.approximate());
        Some(self.sentence(&what, levels, &estimate, Scale::Amount))
    }

    fn sentence(&self, what: &str, levels: [f64; 2], estimate: &Estimate, scale: Scale) -> String {
        let finding = Finding::from(Some(*estimate));
        let begin = match finding {
            Finding::Higher => "Higher with the campaign",
            Finding::Lower => "Lower with the campaign",
            Finding::Inconclusive | Finding::Unknown => "Inconclusive",
        };
        let [treatment, control] = levels.map(|level| scale.level(level));
        let interval = scale.interval(estimate.low, estimate.high);
        let holds = if estimate.is_conclusive() { "leaves out 0" } else { "contains 0" };
        let numbers = format!(
            "{begin} for {what}: {treatment} in treatment, {control} in control; the interval of the difference, {interval}, {holds}."
        );
        if estimate.is_conclusive() { numbers } else { numbers + &self.could_not_be_seen(estimate, scale) }
    }

    fn could_not_be_seen(&self, estimate: &Estimate, scale: Scale) -> String {
        let (treatment, control) = (self.arms.treatment.exposed, self.arms.control.exposed);
        match estimate.detectable {
            Some(smallest) => {
                format!(
                    " With {treatment} and {control} customers a difference below {} could not have been seen.",
                    scale.difference(smallest)
                )
            }
            None => format!(" With {treatment} and {control} customers no rise could have been seen."),
        }
    }

    fn open(&self) -> Option<String> {
        let within = self.experiment.goal.as_ref()?.within?;
        let (open, all) = (self.arms.treatment.open + self.arms.control.open, self.arms.exposed());
        let sentence = format!("{open} of {all} customers are still within {within} of their entry: judge when that is over.");
        (open > 0).then_some(sentence)
    }

    fn recounted(&self) -> Option<String> {
        let recounted = self.arms.treatment.recounted + self.arms.control.recounted;
        let sentence =
            format!("The goal was changed while it ran: of {recounted} customers only what is still kept was counted for this one.");
        (recounted > 0).then_some(sentence)
    }
}

/// How a figure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A share in percent, a difference of two in percentage points.
    Share,
    /// A value with two decimals, or with four where it is small.
    Amount,
}

impl Scale {
    /// `28.3%`, `196.10`
    pub fn level(self, value: f64) -> String {
        match self {
            Scale::Share => format!("{:.1}%", value * 100.0),
            Scale::Amount => amount(value),
        }
    }

    /// `4.4 points`, `-2.00`
    pub fn difference(self, value: f64) -> String {
        match self {
            Scale::Share => format!("{:.1} points", value * 100.0),
            Scale::Amount => amount(value),
        }
    }

    /// `-4.5 to 13.6 points`, `-23.08 to 19.07`
    pub fn interval(self, low: f64, high: f64) -> String {
        match self {
            Scale::Share => format!("{:.1} to {}", low * 100.0, self.difference(high)),
            Scale::Amount => format!("{} to {}", amount(low), amount(high)),
        }
    }
}

fn amount(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.1 { format!("{value:.4}") } else { format!("{value:.2}") }
}

fn how_often(p: f64) -> String {
    if p < 1e-6 { "less than once in a million experiments".into() } else { format!("in 1 of {:.0} experiments", 1.0 / p) }
}

#[cfg(test)]
mod tests {
    use crate::experiment::{Arms, Experiment, Figures, Goal, Holdout, Report};
    use crate::money::Number;
    use crate::time::Span;

    /// So many of so many, each of whom spent that much.
    fn arm(converted: u64, exposed: u64, spent: i64) -> Figures {
        let value = Number::integer(spent * converted as i64);
        Figures { exposed, converted, goals: converted, squares: value.times(&Number::integer(spent)), value, ..Figures::default() }
    }

    fn verdict(treatment: Figures, control: Figures) -> String {
        let goal = Goal { stream: "orders".into(), value: Some("total".into()), within: Span::parse("30d"), steps: Vec::new() };
        let experiment = Experiment { holdout: Holdout::parse("50%").unwrap(), salt: "salt".into(), goal: Some(goal) };
        Report::new("programme".into(), experiment, None, Arms { treatment, control }).verdict().join("\n")
    }

    #[test]
    fn arms_that_were_not_dealt_so_stand_before_any_difference() {
        insta::assert_snapshot!(verdict(arm(55, 168, 40), arm(66, 233, 40)), @r"
        The arms are not those that were dealt: 233 of 401 customers (58.1%) are in the control arm, where 50% are due; chance alone does that in 1 of 854 experiments. Find out why first: no difference can be trusted.
        Inconclusive for conversion to orders: 32.7% in treatment, 28.3% in control; the interval of the difference, -4.6 to 13.6 points, contains 0. With 168 and 233 customers a difference below 13.4 points could not have been seen.
        Inconclusive for orders.total for each exposed customer: 13.10 in treatment, 11.33 in control; the interval of the difference, -1.92 to 5.45, contains 0. With 168 and 233 customers a difference below 5.26 could not have been seen.
        ");
    }

    #[test]
    fn a_difference_whose_interval_leaves_out_0_is_named_with_its_direction() {
        insta::assert_snapshot!(verdict(arm(1_650, 5_000, 40), arm(1_400, 5_000, 48)), @r"
        Higher with the campaign for conversion to orders: 33.0% in treatment, 28.0% in control; the interval of the difference, 3.2 to 6.8 points, leaves out 0.
        Inconclusive for orders.total for each exposed customer: 13.20 in treatment, 13.44 in control; the interval of the difference, -1.03 to 0.55, contains 0. With 5000 and 5000 customers a difference below 1.13 could not have been seen.
        ");
        insta::assert_snapshot!(verdict(arm(1_400, 5_000, 40), arm(1_650, 5_000, 40)), @r"
        Lower with the campaign for conversion to orders: 28.0% in treatment, 33.0% in control; the interval of the difference, -6.8 to -3.2 points, leaves out 0.
        Lower with the campaign for orders.total for each exposed customer: 11.20 in treatment, 13.20 in control; the interval of the difference, -2.72 to -1.28, leaves out 0.
        ");
    }

    #[test]
    fn what_stands_in_the_way_of_a_judgement_is_said() {
        insta::assert_snapshot!(verdict(arm(0, 0, 0), arm(0, 0, 0)), @"Nobody has been exposed: no entry has counted since the experiment was defined.");
        insta::assert_snapshot!(verdict(arm(1, 3, 1), arm(0, 0, 0)), @"There is nothing to compare: nobody was exposed in the control arm.");
        let open = Figures { open: 7, recounted: 2, ..arm(0, 10, 0) };
        insta::assert_snapshot!(verdict(open, arm(0, 12, 0)), @r"
        Inconclusive for conversion to orders: 0.0% in treatment, 0.0% in control; the interval of the difference, -24.2 to 27.8 points, contains 0. With 10 and 12 customers a difference below 47.9 points could not have been seen.
        Unknown for orders.total for each exposed customer: there are too few customers, or no two values that differ.
        7 of 22 customers are still within 30d of their entry: judge when that is over.
        The goal was changed while it ran: of 2 customers only what is still kept was counted for this one.
        ");
        insta::assert_snapshot!(verdict(arm(10, 10, 1), arm(10, 10, 1)), @r"
        Inconclusive for conversion to orders: 100.0% in treatment, 100.0% in control; the interval of the difference, -27.8 to 27.8 points, contains 0. With 10 and 10 customers no rise could have been seen.
        Unknown for orders.total for each exposed customer: there are too few customers, or no two values that differ.
        ");
    }
}
