//! TLSA records (DANE, RFC 7672): whether whoever goes by them finds the certificates that we show.
//!
//! Senders that go by them deliver nothing where no record fits. So a certificate that none fits is the worst thing
//! that can be found here, and a record for the next certificate beside that for this one the best.

use std::fmt;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;

use super::finding::Finding;
use super::listeners::Listener;
use crate::dns::signed::{self, Signed, Tlsa};
use crate::dns::{LookupError, Settings};
use crate::net::tls::{Shown, public_key};

const AREA: &str = "dane";

/// A record for people: as a zone file has it, the data shortened.
struct Brief<'t>(&'t Tlsa);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tlsa { usage, selector, matching, data } = self.0;
        let data = HEXLOWER.encode(data.get(..6).unwrap_or(data));
        write!(f, "{usage} {selector} {matching} {data}...")
    }
}

/// The records of each of our names in MX records, held against what each listener shows whoever asks for that name.
pub(super) async fn examine(settings: &Settings, names: &[String], listeners: &[Listener<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in names {
        let place = format!("_25._tcp.{name}");
        match signed::tlsa(settings, &place).await {
            Ok(answer) if answer.records.is_empty() => {
                findings.push(Finding::well(AREA, &place, "no TLSA record: senders do not go by DANE"));
            }
            Ok(answer) => findings.extend(judge(name, &place, &answer, listeners)),
            Err(why @ LookupError::ServerFailure) => {
                let advice = "A name server that does not answer questions for TLSA stops mail from all who go by DANE \
                    (RFC 7672 2.1.1), whether you publish any or not: ask it (dig TLSA), or its operator.";
                findings.push(Finding::doubtful(AREA, &place, format!("no answer: {why}"), advice));
            }
            Err(why) => findings.push(Finding::skipped(AREA, &place, why, "Mend the name servers first.")),
        }
    }
    findings
}

fn judge(name: &str, place: &str, answer: &Signed<Tlsa>, listeners: &[Listener<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !answer.is_authentic {
        let advice = "Nobody goes by TLSA records without DNSSEC: sign the zone; or the resolver asked here does not \
            validate (unbound and knot-resolver do).";
        findings.push(Finding::doubtful(AREA, &place, "the name server does not vouch for the answer", advice));
    }
    let (usable, useless): (Vec<&Tlsa>, Vec<&Tlsa>) =
        answer.records.iter().partition(|record| mistake(record).is_none());
    for record in useless {
        let found = format!("{}: {}", Brief(record), mistake(record).unwrap_or_default());
        findings.push(Finding::doubtful(AREA, &place, found, "Senders pass over it: publish 3 1 1 in its place."));
    }
    if usable.is_empty() {
        return findings;
    }
    for listener in listeners {
        findings.extend(of_listener(name, place, &usable, listener));
    }
    findings
}

fn of_listener(name: &str, place: &str, usable: &[&Tlsa], listener: &Listener<'_>) -> Vec<Finding> {
    let shown = listener.shown_for(name);
    if shown.is_empty() {
        let found = format!("there are TLSA records, and listener {} has no certificate", listener.name);
        let advice = "Senders that use DANE deliver nothing without TLS: name a certificate in `tls` of this \
            [[listen]], or take the records out.";
        return vec![Finding::broken(AREA, &place, found, advice)];
    }
    let mut findings = Vec::new();
    for certificate in shown {
        let fitting: Vec<&Tlsa> =
            usable.iter().copied().filter(|record| fits(record, certificate, name).is_ok()).collect();
        match fitting.as_slice() {
            [] => findings.push(no_fit(name, place, usable, listener, certificate)),
            fitting => {
                let others = usable.len() - fitting.len();
                let briefs: Vec<String> = fitting.iter().map(|record| Brief(record).to_string()).collect();
                let found = format!(
                    "listener {} shows what {} says{}",
                    listener.name,
                    briefs.join(" and "),
                    if others > 0 { format!("; {others} more are for other certificates") } else { String::new() }
                );
                findings.push(Finding::well(AREA, &place, found));
            }
        }
    }
    findings
}

fn no_fit(name: &str, place: &str, usable: &[&Tlsa], listener: &Listener<'_>, certificate: &Shown) -> Finding {
    let why: Vec<String> = usable
        .iter()
        .filter_map(|record| Some(format!("{}: {}", Brief(record), fits(record, certificate, name).err()?)))
        .collect();
    let found = format!("listener {} shows a certificate that none of them fits ({})", listener.name, why.join("; "));
    let wanted = certificate.chain().first().and_then(|leaf| expected(leaf, 1, 1)).unwrap_or_default();
    let advice = format!(
        "Senders that use DANE deliver nothing. Publish `{place}. IN TLSA 3 1 1 {}`, beside the old record until its \
        time to live is over; before the next renewal publish the next key first, or keep the key.",
        HEXLOWER.encode(&wanted)
    );
    Finding::broken(AREA, &place, found, &advice)
}

/// Why senders of mail make nothing of a record (RFC 7672 3.1.3, RFC 7671 4).
fn mistake(record: &Tlsa) -> Option<&'static str> {
    match (record.usage, record.selector, record.matching) {
        (0 | 1, _, _) => Some("usage 0 and 1 do not exist for mail"),
        (4.., _, _) => Some("no such usage"),
        (_, 2.., _) => Some("no such selector"),
        (_, _, 3..) => Some("no such matching type"),
        (_, _, 1) if record.data.len() != 32 => Some("no digest of that length"),
        (_, _, 2) if record.data.len() != 64 => Some("no digest of that length"),
        _ => None,
    }
}

/// Whether a record that means something lets this certificate pass; otherwise why not.
fn fits(record: &Tlsa, shown: &Shown, name: &str) -> Result<(), String> {
    let is_it = |certificate: &&CertificateDer<'static>| {
        expected(certificate, record.selector, record.matching).is_some_and(|data| data == record.data)
    };
    let (leaf, behind) = shown.chain().split_first().ok_or("there is no certificate")?;
    if record.usage == 3 {
        // Neither names nor dates count (RFC 7672 3.1.1).
        return if is_it(&leaf) { Ok(()) } else { Err("another certificate or key".to_owned()) };
    }
    let anchor = behind.iter().find(is_it).ok_or("its issuer is not in the chain that is shown")?;
    shown.leads_to(anchor, name).map_err(|why| why.to_string())
}

/// What a record with that selector and matching type says of the certificate (RFC 6698 2.1).
fn expected(certificate: &CertificateDer<'_>, selector: u8, matching: u8) -> Option<Vec<u8>> {
    let selected = match selector {
        0 => certificate.to_vec(),
        _ => public_key(certificate)?,
    };
    Some(match matching {
        0 => selected,
        1 => digest(&SHA256, &selected).as_ref().to_vec(),
        _ => digest(&SHA512, &selected).as_ref().to_vec(),
    })
}

#[cfg(test)]
mod tests;
