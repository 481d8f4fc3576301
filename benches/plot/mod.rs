//! Plots as SVG files that read well on a light and a dark page: [`Bars`] to compare, [`Lines`] to see what grows with what.

mod axis;
mod bars;
mod lines;
mod svg;

pub use axis::Axis;
pub use bars::{Bar, Bars};
pub use lines::{Line, Lines};

/// The colour of a bar or a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    Grey,
    Green,
    Blue,
    Violet,
    /// For what the plot is about.
    Accent,
}

impl Tone {
    /// The class in the style sheet of [`svg`].
    fn class(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Violet => "violet",
            Self::Accent => "accent",
        }
    }
}

/// A figure with as many digits as a reader needs.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        size if size >= 1e4 => format!("{}k", trimmed(value / 1e3)),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => trimmed(value),
    }
}

/// With one digit after the point, unless that is a zero.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
