//! [`Tokens`]: which user each request belongs to.

use std::fs;

use hyper::header::{HeaderName, HeaderValue};

use crate::{Failure, args::UserArgs, target::header};

/// Where the token stands in `--token-header`.
const PLACE: &str = "{token}";

/// The tokens of all users, each as the header value that carries it.
pub struct Tokens {
    /// The header.
    pub name: HeaderName,
    hot: Vec<HeaderValue>,
    cold: Vec<HeaderValue>,
    cold_share: f64,
}

impl Tokens {
    /// Reads the tokens, so many of them for requests of cold users, which are this share of all requests.
    pub fn load(args: &UserArgs, cold: u64, cold_share: f64) -> Result<Self, Failure> {
        let (name, template) = header(&args.token_header)?;
        let template = template.to_str().unwrap_or_default();
        let Some((before, after)) = template.split_once(PLACE) else {
            return Err(Failure::Trouble(format!("--token-header: {PLACE} is missing in it")));
        };
        let carry = |token: &str| {
            let mut value = HeaderValue::from_str(&format!("{before}{token}{after}"))
                .map_err(|_| Failure::Trouble("a token has characters that no header may have".into()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let cold = usize::try_from(cold).unwrap_or(usize::MAX);
        let mut all: Vec<_> = tokens(args, cold)?.iter().map(|token| carry(token)).collect::<Result<_, _>>()?;
        let cold = all.split_off(all.len().saturating_sub(cold));
        Ok(Self { name, hot: all, cold, cold_share })
    }

    /// The token of a request. None if there are no tokens at all.
    pub fn of(&self, request: u64) -> Option<&HeaderValue> {
        match self.cold_before(request) {
            cold if self.cold_before(request + 1) > cold => self.cold.get(usize::try_from(cold).ok()?),
            _ => self.hot(request),
        }
    }

    /// The token of a hot user; they come in turn.
    pub fn hot(&self, turn: u64) -> Option<&HeaderValue> {
        let users = u64::try_from(self.hot.len()).ok()?;
        self.hot.get(usize::try_from(turn.checked_rem(users)?).ok()?)
    }

    /// How many hot users there are.
    pub fn hot_users(&self) -> u64 {
        u64::try_from(self.hot.len()).unwrap_or(u64::MAX)
    }

    /// How many of so many requests are those of cold users. They are spread evenly.
    fn cold_before(&self, requests: u64) -> u64 {
        (requests as f64 * self.cold_share) as u64
    }
}

/// The tokens of the hot users, then those of the cold ones.
fn tokens(args: &UserArgs, cold: usize) -> Result<Vec<String>, Failure> {
    let Some(path) = &args.tokens else { return Ok(Vec::new()) };
    let text = fs::read_to_string(path).map_err(|error| Failure::Trouble(format!("{}: {error}", path.display())))?;
    let mut tokens: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let hot = args.users.map_or(tokens.len().saturating_sub(cold), |users| users as usize);
    let wanted = hot.saturating_add(cold);
    if hot == 0 || tokens.len() < wanted {
        let (hot, found) = (hot.max(1), tokens.len());
        let message = format!("{}: {found} tokens, but {hot} are needed for hot users and {cold} for cold ones", path.display());
        return Err(Failure::Trouble(message));
    }
    tokens.truncate(wanted);
    Ok(tokens)
}
