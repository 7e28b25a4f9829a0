//! What two arms can tell: intervals for the difference, what could have been seen, and whether the arms were dealt as
//! intended.
//!
//! | question | method |
//! | --- | --- |
//! | difference of two rates | Newcombe, hybrid score, without continuity correction (Statistics in Medicine 17, 1998, method 10) |
//! | difference of two means | Welch's t |
//! | dealt as intended? | chi-square with one degree of freedom |
//! | smallest rate that could have been seen | normal approximation, pooled under no effect, unpooled under the effect |
//! | smallest mean that could have been seen | quantiles of t on Welch's standard error |
//!
//! **Invariant:** every figure is a function of the sums alone; where they cannot say anything there is `None`, never a
//! NaN or an infinity. tests/statistics.rs holds them to an independent computation.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// Of every interval: in 19 of 20 experiments it holds the true difference.
pub const CONFIDENCE: f64 = 0.95;
/// With which an effect "could have been seen".
pub const POWER: f64 = 0.80;
/// Chance alone deals arms so unevenly once in a hundred experiments; a report is looked at one by one, so that is rare enough.
const MISDEALT_BELOW: f64 = 0.01;

/// With fewer, chi-square's distribution is not that of the table (Cochran's rule), and a handful of customers would raise
/// false alarms.
const LEAST_DUE: f64 = 5.0;

/// Treatment less control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub difference: f64,
    /// The ends of the interval.
    pub low: f64,
    pub high: f64,
    /// The smallest true difference that these many customers show with a chance of [`POWER`]; `None`: there is none.
    pub detectable: Option<f64>,
}

/// How the customers fell into the arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRatio {
    pub chi_square: f64,
    /// How often chance alone deals at least so unevenly.
    pub p: f64,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub count: u64,
    pub of: u64,
}

/// A sample's size, mean and unbiased variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub size: u64,
    pub mean: f64,
    pub variance: f64,
}

impl Estimate {
    /// Whether the interval leaves out 0.
    pub fn is_conclusive(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

impl SampleRatio {
    pub fn is_plausible(&self) -> bool {
        self.p >= MISDEALT_BELOW
    }
}

impl Share {
    fn rate(self) -> f64 {
        self.count as f64 / self.of as f64
    }

    /// Wilson's score interval.
    fn wilson(self) -> (f64, f64) {
        let (n, p, z) = (self.of as f64, self.rate(), two_sided());
        let centre = p + z * z / (2.0 * n);
        let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let (low, high) = ((centre - reach) / (1.0 + z * z / n), (centre + reach) / (1.0 + z * z / n));
        // At the edges rounding must not leave what is possible.
        (if self.count == 0 { 0.0 } else { low }, if self.count == self.of { 1.0 } else { high })
    }
}

/// The difference of two rates; `None`: an arm has nobody.
pub fn rates(treatment: Share, control: Share) -> Option<Estimate> {
    if treatment.of == 0 || control.of == 0 {
        return None;
    }
    let (t, c) = (treatment.rate(), control.rate());
    let ((t_low, t_high), (c_low, c_high)) = (treatment.wilson(), control.wilson());
    Some(Estimate {
        difference: t - c,
        low: t - c - (t - t_low).hypot(c_high - c),
        high: t - c + (t_high - t).hypot(c - c_low),
        detectable: detectable_rise(c, treatment.of, control.of),
    })
}

/// The difference of two means; `None`: fewer than two customers in an arm, or no two values that differ in either.
pub fn means(treatment: Sample, control: Sample) -> Option<Estimate> {
    let [t, c] = [treatment, control].map(|sample| sample.variance / sample.size as f64);
    let error = (t + c).sqrt();
    if treatment.size < 2 || control.size < 2 || error <= 0.0 || !error.is_finite() {
        return None;
    }
    let freedom = (t + c).powi(2) / (t * t / (treatment.size - 1) as f64 + c * c / (control.size - 1) as f64);
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let reach = student.inverse_cdf(0.5 + CONFIDENCE / 2.0) * error;
    let difference = treatment.mean - control.mean;
    let detectable = Some(reach + student.inverse_cdf(POWER) * error);
    Some(Estimate { difference, low: difference - reach, high: difference + reach, detectable })
}

/// Whether so many customers in the control arm are what its share of all leads one to expect; `None`: fewer than
/// [`LEAST_DUE`] are due in an arm.
pub fn sample_ratio(control: Share, holdout: f64) -> Option<SampleRatio> {
    let (n, due) = (control.of as f64, control.of as f64 * holdout);
    if due.min(n - due) < LEAST_DUE {
        return None;
    }
    let off = control.count as f64 - due;
    let chi_square = off * off / due + off * off / (n - due);
    let p = ChiSquared::new(1.0).ok()?.sf(chi_square);
    Some(SampleRatio { chi_square, p })
}

/// The smallest rise above `base` that is seen with a chance of [`POWER`]; `None`: not even everybody converting would be.
fn detectable_rise(base: f64, treatment: u64, control: u64) -> Option<f64> {
    let seen = |rise: f64| rise >= needed_rise(base, rise, treatment, control);
    let (mut below, mut above) = (0.0, 1.0 - base);
    if above <= 0.0 || !seen(above) {
        return None;
    }
    // Halved until the rest is beyond what a float tells apart.
    for _ in 0..60 {
        let middle = (below + above) / 2.0;
        if seen(middle) { above = middle } else { below = middle }
    }
    Some(above)
}

/// How large a rise has to be to be seen, were the true one `rise`.
fn needed_rise(base: f64, rise: f64, treatment: u64, control: u64) -> f64 {
    let (t, c, raised) = (treatment as f64, control as f64, base + rise);
    let pooled = (raised * t + base * c) / (t + c);
    let without = (pooled * (1.0 - pooled) * (1.0 / t + 1.0 / c)).max(0.0).sqrt();
    let with = (raised * (1.0 - raised) / t + base * (1.0 - base) / c).max(0.0).sqrt();
    two_sided() * without + Normal::standard().inverse_cdf(POWER) * with
}

/// The quantile that leaves out half of what [`CONFIDENCE`] leaves out, on one side.
fn two_sided() -> f64 {
    Normal::standard().inverse_cdf(0.5 + CONFIDENCE / 2.0)
}
