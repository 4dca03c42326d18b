//! What margins mean: how often spam and ham had them before they were learned.

/// Classes of margins.
pub const BINS: usize = 32;
/// What is beyond counts as this: the curve is fitted where it is decided, and goes on as it was there.
const EDGE: f64 = 2.0;
/// What is believed without evidence: log-odds for each point of margin,
const SLOPE: f64 = 4.0;
/// and with how many messages' worth of doubt.
const DOUBT: f64 = 4.0;
/// Bounds of what evidence may make of it.
const SLOPES: (f64, f64) = (0.5, 12.0);
const OFFSETS: (f64, f64) = (-3.0, 3.0);
/// Steps of Newton's method; it converges in about six.
const STEPS: usize = 12;

/// From margins to log-odds, for as much spam as ham.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    slope: f64,
    offset: f64,
}

/// The class of a margin.
pub fn bin(margin: f64) -> usize {
    let place = (margin + EDGE) / (2.0 * EDGE) * BINS as f64;
    // Saturates, and what is no number is in the first class.
    (place as usize).min(BINS - 1)
}

impl Calibration {
    /// Of how many messages of each class were ham and spam. A logistic curve through both, each counted as much as
    /// the other, with doubt that gives way to evidence.
    pub fn of(counts: &[[u32; 2]; BINS]) -> Self {
        let totals = counts.iter().fold([0.0, 0.0], |[ham, spam], [h, s]| [ham + f64::from(*h), spam + f64::from(*s)]);
        let least = totals[0].min(totals[1]);
        let mut curve = Self { slope: SLOPE, offset: 0.0 };
        if least < 1.0 {
            return curve;
        }
        for _ in 0..STEPS {
            curve = curve.step(counts, totals, least);
        }
        curve
    }

    /// Log-odds of a message being unwanted.
    pub fn log_odds(&self, margin: f64) -> f64 {
        self.slope * margin + self.offset
    }

    fn step(self, counts: &[[u32; 2]; BINS], totals: [f64; 2], least: f64) -> Self {
        // The gradient and the second derivatives of the loss; doubt pulls towards what is believed.
        let (mut by_slope, mut by_offset) = (DOUBT * (self.slope - SLOPE) / SLOPE, DOUBT * self.offset);
        let (mut slopes, mut both, mut offsets) = (DOUBT / SLOPE, 0.0, DOUBT);
        for (index, [ham, spam]) in counts.iter().enumerate() {
            let margin = (index as f64 + 0.5) / BINS as f64 * 2.0 * EDGE - EDGE;
            let [ham, spam] = [f64::from(*ham) / totals[0] * least, f64::from(*spam) / totals[1] * least];
            let probability = probability(self.log_odds(margin));
            let error = (ham + spam) * probability - spam;
            let curvature = (ham + spam) * probability * (1.0 - probability);
            by_slope += error * margin;
            by_offset += error;
            slopes += curvature * margin * margin;
            both += curvature * margin;
            offsets += curvature;
        }
        let determinant = slopes * offsets - both * both;
        if determinant <= f64::EPSILON {
            return self;
        }
        let slope = self.slope - (offsets * by_slope - both * by_offset) / determinant;
        let offset = self.offset - (slopes * by_offset - both * by_slope) / determinant;
        Self { slope: slope.clamp(SLOPES.0, SLOPES.1), offset: offset.clamp(OFFSETS.0, OFFSETS.1) }
    }
}

/// Of log-odds.
pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
