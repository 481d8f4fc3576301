//! Text for people: with colours on a terminal.

/// How text looks: with colours on a terminal, plain in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// With ANSI escapes.
    Terminal,
    /// Without.
    Plain,
}

impl Look {
    /// Text that stands out.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Text that steps back.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Text that says that all is well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Text that says that it is not.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Terminal => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
