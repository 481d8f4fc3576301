//! Lines over an axis, each named at its end.

use super::{
    Axis, Tone, number,
    svg::{Anchor, Canvas},
};

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 76.0;
/// Room for the names, and without them.
const RIGHT: f64 = 204.0;
const RIGHT_WITHOUT_NAMES: f64 = 40.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = HEIGHT - 60.0;
/// Between two names.
const NAME_HEIGHT: f64 = 17.0;

/// A plot of what grows with what.
pub struct Lines<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x: Axis,
    pub y: Axis,
    /// One line has its values written above it, more have their names at their ends.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    pub name: String,
    pub tone: Tone,
    pub is_dashed: bool,
    /// x and y, with x rising.
    pub points: Vec<(f64, f64)>,
}

impl Lines<'_> {
    /// As SVG.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, self.title, self.subtitle);
        self.draw_axes(&mut canvas);
        for line in &self.lines {
            let points: Vec<_> = line.points.iter().map(|point| self.place(*point)).collect();
            let weight = if line.tone == Tone::Accent { " thick" } else { "" };
            let dashes = if line.is_dashed { " dashed" } else { "" };
            canvas.line(&points, &format!("{} line{weight}{dashes}", line.tone.class()));
            for (place, (_, value)) in points.iter().zip(&line.points) {
                canvas.dot(*place, 3.5, line.tone.class());
                if !self.has_names() {
                    // Clear of the axis.
                    let x = place.0.max(LEFT + 20.0);
                    canvas.text((x, place.1 - 10.0), Anchor::Middle, "", &number(*value));
                }
            }
        }
        if self.has_names() {
            self.draw_names(&mut canvas);
        }
        canvas.finish()
    }

    fn has_names(&self) -> bool {
        self.lines.len() > 1
    }

    /// The right end of the x axis.
    fn right(&self) -> f64 {
        WIDTH - if self.has_names() { RIGHT } else { RIGHT_WITHOUT_NAMES }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (LEFT + self.x.place(x) * (self.right() - LEFT), BOTTOM - self.y.place(y) * (BOTTOM - TOP))
    }

    fn draw_axes(&self, canvas: &mut Canvas) {
        let right = self.right();
        for (value, text) in self.x.ticks() {
            let x = LEFT + self.x.place(*value) * (right - LEFT);
            canvas.line(&[(x, TOP), (x, BOTTOM)], "grid");
            canvas.text((x, BOTTOM + 18.0), Anchor::Middle, "faint", text);
        }
        for (value, text) in self.y.ticks() {
            let y = BOTTOM - self.y.place(*value) * (BOTTOM - TOP);
            canvas.line(&[(LEFT, y), (right, y)], "grid");
            canvas.text((LEFT - 8.0, y + 4.0), Anchor::End, "faint", text);
        }
        canvas.line(&[(LEFT, TOP), (LEFT, BOTTOM), (right, BOTTOM)], "axis line");
        canvas.text(((LEFT + right) / 2.0, BOTTOM + 42.0), Anchor::Middle, "faint", self.x.label());
        canvas.upward_text((24.0, (TOP + BOTTOM) / 2.0), "faint", self.y.label());
    }

    /// At the ends of the lines, far enough from each other to be read.
    fn draw_names(&self, canvas: &mut Canvas) {
        let mut names: Vec<_> = self.lines.iter().filter_map(|line| Some((self.place(*line.points.last()?), line))).collect();
        names.sort_by(|((_, one), _), ((_, other), _)| one.total_cmp(other));
        let mut places: Vec<_> = names.iter().map(|((_, y), _)| *y).collect();
        // Downwards until none touches another, then upwards until all are within the plot.
        let mut highest = TOP - NAME_HEIGHT;
        for place in &mut places {
            *place = place.max(highest);
            highest = *place + NAME_HEIGHT;
        }
        let mut lowest = BOTTOM;
        for place in places.iter_mut().rev() {
            *place = place.min(lowest);
            lowest = *place - NAME_HEIGHT;
        }
        for (((x, y), line), place) in names.iter().zip(places) {
            canvas.line(&[(x + 5.0, *y), (x + 14.0, place)], "grid");
            canvas.dot((x + 20.0, place), 4.0, line.tone.class());
            let weight = if line.tone == Tone::Accent { "strong" } else { "" };
            canvas.text((x + 29.0, place + 4.5), Anchor::Start, weight, &line.name);
        }
    }
}
