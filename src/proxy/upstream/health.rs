//! Asks the addresses of an upstream whether they are well, in one task for all event loops.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, header};
use pingora::{Error, ErrorType, Result, connectors::TransportConnector, http::RequestHeader};
use tokio_util::sync::CancellationToken;

use crate::proxy::{
    http::Changes,
    upstream::{
        backend::{Backend, Protocol},
        hashing::mix,
        http2::alone,
        place::Place,
        session::{Http2Request, Malformed, Piece, UpstreamRequest, UpstreamSession},
        settings::HealthSettings,
        standing::Standing,
    },
};

/// What the gateway calls itself.
const USER_AGENT: &str = "syncgate-health";
/// So many bad answers in a row and an address is not well.
const MAX_BAD: u8 = 3;
/// So many good ones and it is again.
const MIN_GOOD: u8 = 2;

/// The last answers of one address: how many were alike.
#[derive(Debug, Default)]
struct Pulse {
    good: u8,
    bad: u8,
}

impl Pulse {
    /// Whether the address is well, where that is certain.
    fn beat(&mut self, is_good: bool) -> Option<bool> {
        if is_good {
            (self.good, self.bad) = (self.good.saturating_add(1), 0);
            (self.good >= MIN_GOOD).then_some(true)
        } else {
            (self.good, self.bad) = (0, self.bad.saturating_add(1));
            (self.bad >= MAX_BAD).then_some(false)
        }
    }
}

impl Backend {
    /// Asks each address in turn until stopped. Does nothing where that is not configured.
    pub(in crate::proxy) async fn keep_checked(self: Arc<Self>, connector: Arc<TransportConnector>, stop: CancellationToken) {
        let Some(health) = &self.settings.health else { return };
        let mut pulses: Vec<(Arc<Standing>, Pulse)> = Vec::new();
        let mut random = self.now();
        loop {
            random = mix(random.wrapping_add(1));
            tokio::select! {
                () = tokio::time::sleep(jittered(health.every, random)) => {}
                () = stop.cancelled() => return,
            }
            let places = self.addresses().all();
            pulses.retain(|(known, _)| places.iter().any(|place| Arc::ptr_eq(&place.standing, known)));
            let checks = places.iter().map(|place| self.check(&connector, health, place));
            for (place, outcome) in places.iter().zip(join_all(checks).await) {
                self.note(&mut pulses, &place.standing, outcome);
            }
        }
    }

    fn note(&self, pulses: &mut Vec<(Arc<Standing>, Pulse)>, standing: &Arc<Standing>, outcome: Result<(), String>) {
        let known = pulses.iter().position(|(known, _)| Arc::ptr_eq(known, standing));
        let index = known.unwrap_or_else(|| {
            pulses.push((Arc::clone(standing), Pulse::default()));
            pulses.len() - 1
        });
        let Some((_, pulse)) = pulses.get_mut(index) else { return };
        let Some(is_well) = pulse.beat(outcome.is_ok()) else { return };
        if standing.is_well(is_well, self.now()) {
            match outcome {
                Ok(()) => self.tell(standing, "an address is well again"),
                Err(cause) => self.tell(standing, &format!("an address is not well: {cause}")),
            }
        }
    }

    async fn check(&self, connector: &TransportConnector, health: &HealthSettings, place: &Place) -> Result<(), String> {
        let asked = tokio::time::timeout(health.timeout, self.ask(connector, health, place)).await;
        match asked {
            Ok(Ok(200..=299)) => Ok(()),
            Ok(Ok(status)) => Err(format!("it answers {status}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }

    /// The status that an address answers with.
    async fn ask(&self, connector: &TransportConnector, health: &HealthSettings, place: &Place) -> Result<u16> {
        let mut header = RequestHeader::build("GET", health.path.as_bytes(), None)?;
        header.insert_header(header::HOST, self.own_host())?;
        header.insert_header(header::USER_AGENT, USER_AGENT)?;
        if self.protocol() == Protocol::Http1 {
            header.insert_header(header::CONNECTION, "close")?;
        }
        let unwritable = |Malformed(what)| Error::explain(ErrorType::InternalError, what.into_owned());
        let stream = self.open(connector, place, self.protocol()).await?;
        let (changes, keep_all) = (Changes::default(), |_: &HeaderName| false);
        let mut session = match self.protocol() {
            Protocol::Http1 => {
                let request = UpstreamRequest::new(&header, changes, keep_all).map_err(unwritable)?;
                UpstreamSession::new(stream, &request)
            }
            Protocol::Http2 => {
                let request = Http2Request::new(&header, changes, self.settings.tls, keep_all).map_err(unwritable)?;
                alone(stream, &request).await?
            }
        };
        session.send(Bytes::new(), true).await?;
        loop {
            match session.read().await? {
                Piece::Header { header, .. } if !header.status.is_informational() => return Ok(header.status.as_u16()),
                _ => {}
            }
        }
    }
}

/// Up to a tenth more or less, so that many gateways do not ask at the same moment.
fn jittered(every: Duration, random: u64) -> Duration {
    let percent = u32::try_from(random % 21).unwrap_or(0) + 90;
    every * percent / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bad_answers_in_a_row_count_and_two_good_ones() {
        let mut pulse = Pulse::default();
        let beats = [true, true, false, false, true, false, false, false, false, true, false, true, true];
        let known = beats.map(|is_good| pulse.beat(is_good));
        let (well, ill) = (Some(true), Some(false));
        assert_eq!(known, [None, well, None, None, None, None, None, ill, ill, None, None, None, well]);
    }

    #[test]
    fn the_time_between_two_checks_varies_by_a_tenth() {
        let spans: std::collections::BTreeSet<_> = (0..1_000).map(|seed| jittered(Duration::from_secs(10), mix(seed))).collect();
        assert_eq!(spans.first(), Some(&Duration::from_secs(9)));
        assert_eq!(spans.last(), Some(&Duration::from_secs(11)));
    }
}
