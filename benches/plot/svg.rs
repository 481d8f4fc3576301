//! The few shapes that plots are made of, as SVG. Colours come from a style sheet that knows light and dark.

use std::fmt::Write as _;

const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.card{fill:#ffffff;stroke:#d1d9e0}.title{font-size:16px;font-weight:600}.faint{fill:#59636e;font-size:12px}.strong{font-weight:600}\
.grid{stroke:#e1e6eb}.axis{stroke:#818b98}\
.line{fill:none;stroke-width:2;stroke-linejoin:round}.thick{stroke-width:3.5}.dashed{stroke-dasharray:6 4}\
.grey{fill:#9aa4af;stroke:#818b98}.green{fill:#2da44e;stroke:#1a7f37}.blue{fill:#4493f8;stroke:#0969da}\
.violet{fill:#a475f9;stroke:#8250df}.accent{fill:#e4572e;stroke:#cf3f15}rect{stroke:none}rect.card{stroke-width:1}.line{fill:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.card{fill:#0d1117;stroke:#3d444d}.faint{fill:#9198a1}\
.grid{stroke:#262c36}.axis{stroke:#656c76}.grey{fill:#6e7681;stroke:#9198a1}.green{fill:#2ea043;stroke:#3fb950}\
.blue{fill:#388bfd;stroke:#58a6ff}.violet{fill:#8957e5;stroke:#ab7df8}.accent{fill:#f0703f;stroke:#ff8a5c}.line{fill:none}}";

/// Where a text stands with regard to its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture in the making; sizes and places are in pixels, from the upper left corner.
pub struct Canvas {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Canvas {
    /// A card with a title and what explains it.
    pub fn new(width: f64, height: f64, title: &str, subtitle: &str) -> Self {
        let mut canvas = Self { width, height, title: escaped(title), body: String::new() };
        canvas.text((20.0, 32.0), Anchor::Start, "title", title);
        canvas.text((20.0, 52.0), Anchor::Start, "faint", subtitle);
        canvas
    }

    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(&format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{}</text>"#, escaped(text)));
    }

    /// A text that reads upwards, centred at its point.
    pub fn upward_text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let turned = format!(r#"<text transform="translate({x:.1} {y:.1}) rotate(-90)" text-anchor="middle" class="{class}">"#);
        self.add(&format!("{turned}{}</text>", escaped(text)));
    }

    pub fn bar(&mut self, (x, y): (f64, f64), width: f64, height: f64, class: &str) {
        self.add(&format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" class="{class}"/>"#));
    }

    pub fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let points = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
        self.add(&format!(r#"<polyline points="{points}" class="{class}"/>"#));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        self.add(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" class="{class}"/>"#));
    }

    /// The file's text.
    pub fn finish(self) -> String {
        let Self { width, height, title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\" class=\"card\"/>\n{body}</svg>\n",
            width - 1.0,
            height - 1.0
        )
    }

    fn add(&mut self, element: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
