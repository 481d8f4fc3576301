//! The claims of one minted token: a profile's values, filled from what is known of the user.

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::token::{
    ClaimValue, MintingProfile, Piece, Place, Rejection, Source, Subject,
    mint::{
        power::{granted, may_be_derived},
        value::as_text,
    },
};

/// The claims that the profile names, for this identity, and whether a default is in one because what it would be made of stands
/// elsewhere.
///
/// Errors: [`Rejection::PowerfulClaim`] if a value that comes from the client's token would grant power.
pub(super) fn fill(profile: &MintingProfile, user: &dyn Subject) -> Result<(Map<String, Value>, bool), Rejection> {
    let filling = Filling { profile, user, is_short: Cell::new(false) };
    let mut claims = Map::new();
    for (name, value) in &profile.claims {
        if let Some(value) = filling.value(name, value)? {
            claims.insert(name.clone(), value);
        }
    }
    Ok((claims, filling.is_short.get()))
}

struct Filling<'a> {
    profile: &'a MintingProfile,
    user: &'a dyn Subject,
    /// Whether a value was wanted that is elsewhere.
    is_short: Cell<bool>,
}

/// A value and whether any of it comes from the client's token.
struct Filled {
    value: Value,
    derived: bool,
}

impl Filling<'_> {
    /// The value of a claim or member of this name; elements of a list stand under the name of the list. None: left out.
    fn value(&self, name: &str, value: &ClaimValue) -> Result<Option<Value>, Rejection> {
        match value {
            ClaimValue::Fixed(value) => Ok(Some(value.clone())),
            ClaimValue::Place(place) => self.place(place).map(|filled| admitted(name, filled)).transpose(),
            ClaimValue::Text(pieces) => self.text(pieces).map(|filled| admitted(name, filled)).transpose(),
            ClaimValue::List(values) => {
                let values = values.iter().filter_map(|value| self.value(name, value).transpose());
                values.collect::<Result<Vec<_>, _>>().map(|values| Some(values.into()))
            }
            ClaimValue::Object(members) => {
                let mut object = Map::new();
                for (name, value) in members {
                    if let Some(value) = self.value(name, value)? {
                        object.insert(name.clone(), value);
                    }
                }
                Ok(Some(object.into()))
            }
        }
    }

    fn text(&self, pieces: &[Piece]) -> Option<Filled> {
        let (mut text, mut derived) = (String::new(), false);
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Place(place) => {
                    let filled = self.place(place)?;
                    text.push_str(&as_text(&filled.value));
                    derived |= filled.derived;
                }
            }
        }
        Some(Filled { value: text.into(), derived })
    }

    fn place(&self, place: &Place) -> Option<Filled> {
        let (value, derived) = match &place.source {
            Source::First(table) => (self.look_up(table)?.first().copied().cloned(), false),
            Source::All(table) => (Some(self.look_up(table)?.into_iter().cloned().collect()), false),
            source => (self.source(source), true),
        };
        match value {
            Some(value) => Some(Filled { value, derived }),
            None => place.default.clone().map(|value| Filled { value, derived: false }),
        }
    }

    fn look_up(&self, name: &str) -> Option<Vec<&Value>> {
        let table = self.profile.tables.iter().find(|table| table.name == name)?;
        table.look_up(self.source(&table.from).as_ref())
    }

    fn source(&self, source: &Source) -> Option<Value> {
        let is_elsewhere = match source {
            Source::Roles => self.user.roles_stand_elsewhere(),
            Source::Claim(name) => self.user.stands_elsewhere(name),
            _ => false,
        };
        if is_elsewhere {
            self.is_short.set(true);
        }
        let list = |values: Vec<&str>| (!values.is_empty()).then(|| values.into());
        match source {
            Source::UserId => Some(self.user.user_id().into()),
            Source::Name => self.user.name().map(Value::from),
            Source::Roles => list(self.user.roles()),
            Source::Scopes => list(self.user.scopes()),
            Source::Claim(name) => self.user.claim(name).filter(|value| !value.is_null()).cloned(),
            // No table looks into another.
            Source::First(_) | Source::All(_) => None,
        }
    }
}

/// What comes from the client's token must not grant power.
fn admitted(name: &str, filled: Filled) -> Result<Value, Rejection> {
    if filled.derived && (!may_be_derived(name) || granted(name, &filled.value).is_some()) {
        return Err(Rejection::PowerfulClaim);
    }
    Ok(filled.value)
}
