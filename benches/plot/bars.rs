//! Horizontal bars, the shortest first, each with its value.

use super::{
    Axis, Tone, number,
    svg::{Anchor, Canvas},
};

const WIDTH: f64 = 820.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 70.0;
/// Below title and legend.
const TOP: f64 = 96.0;
const ROW: f64 = 28.0;

/// A plot to compare with.
pub struct Bars<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    /// What the values are, with their unit.
    pub label: &'a str,
    /// What the colours mean.
    pub legend: &'a [(Tone, &'a str)],
    pub bars: Vec<Bar>,
}

/// One bar.
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub tone: Tone,
}

impl Bars<'_> {
    /// As SVG.
    pub fn svg(mut self) -> String {
        self.bars.sort_by(|one, other| one.value.total_cmp(&other.value));
        let bottom = TOP + ROW * self.bars.len() as f64;
        let axis = Axis::linear(self.label, self.bars.last().map_or(1.0, |bar| bar.value));
        let x = |value: f64| LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT);
        let mut canvas = Canvas::new(WIDTH, bottom + 60.0, self.title, self.subtitle);
        self.draw_legend(&mut canvas);
        for (value, text) in axis.ticks() {
            canvas.line(&[(x(*value), TOP), (x(*value), bottom)], "grid");
            canvas.text((x(*value), bottom + 18.0), Anchor::Middle, "faint", text);
        }
        for (row, bar) in self.bars.iter().enumerate() {
            let top = TOP + ROW * row as f64;
            let weight = if bar.tone == Tone::Accent { "strong" } else { "" };
            canvas.text((LEFT - 10.0, top + 19.0), Anchor::End, weight, &bar.name);
            canvas.bar((LEFT, top + 4.0), x(bar.value) - LEFT, ROW - 8.0, bar.tone.class());
            canvas.text((x(bar.value) + 6.0, top + 19.0), Anchor::Start, weight, &number(bar.value));
        }
        canvas.line(&[(LEFT, TOP), (LEFT, bottom)], "axis");
        canvas.text((LEFT + (WIDTH - LEFT - RIGHT) / 2.0, bottom + 42.0), Anchor::Middle, "faint", axis.label());
        canvas.finish()
    }

    fn draw_legend(&self, canvas: &mut Canvas) {
        let mut x = 20.0;
        for (tone, meaning) in self.legend {
            canvas.bar((x, 67.0), 12.0, 12.0, tone.class());
            canvas.text((x + 18.0, 78.0), Anchor::Start, "faint", meaning);
            // About the width of a letter of this size.
            x += 46.0 + 6.2 * meaning.chars().count() as f64;
        }
    }
}
