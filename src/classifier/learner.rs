//! The sums and steps of the learner, in whole numbers: a lesson is exact, and so is taking it back.

/// What one point of margin is in cells, before it is divided among features.
pub const UNIT: f64 = (1u64 << 26) as f64;
/// No lesson counts for more: the most that one message moves the margin of any message.
pub const MOST: f64 = 1.0;
/// The margin, on its own side, that a lesson wants a message to have.
const WANTED: f64 = 1.0;

/// What a message of these cells comes to: positive is unwanted. Finite, whatever the cells hold.
pub fn margin(cells: impl ExactSizeIterator<Item = i32>) -> f64 {
    let number = cells.len().max(1) as f64;
    let sum: i64 = cells.map(i64::from).sum();
    sum as f64 / (UNIT * number.sqrt())
}

/// How much a lesson adds to each cell: what it takes for the margin that is wanted, within [`MOST`]. `taught` is what
/// the same message has added before, with the same sign; the answer replaces it.
pub fn lesson(is_spam: bool, margin: f64, taught: i32, features: usize) -> i32 {
    let root = (features.max(1) as f64).sqrt();
    let side = if is_spam { 1.0 } else { -1.0 };
    let known = f64::from(taught) * root / UNIT * side;
    let strength = (known + WANTED - side * margin).clamp(0.0, MOST);
    // Towards nothing, so that rounding never exceeds the bound.
    (strength * UNIT / root * side) as i32
}

/// The margin of a message if it had never been learned: what it has `taught` left out.
pub fn without(margin: f64, taught: i32, features: usize) -> f64 {
    let left = margin - f64::from(taught) * (features.max(1) as f64).sqrt() / UNIT;
    // What cancels out is nothing, and not a little less than nothing.
    if left.abs() < 1e-6 { 0.0 } else { left }
}

/// A cell after a lesson was added or taken back. What cannot be held stays at the bound.
pub fn stepped(cell: i32, step: i32) -> i32 {
    cell.saturating_add(step)
}
