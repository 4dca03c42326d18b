//! The clock: certificates, signatures and everything that is remembered go by it.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::PATIENCE;
use super::finding::Finding;

const AREA: &str = "clock";
/// A file that was written later than this from now was written by a clock that is right, or ours was then.
const FUTURE: Duration = Duration::from_secs(300);
/// Signatures and reports bear that much; beyond it mail of others seems to come from the past or the future.
const BEARABLE: Duration = Duration::from_secs(60);
/// From the epoch of NTP, 1900, to ours.
const SINCE_1900: u64 = 2_208_988_800;
const ADVICE: &str = "Set it, and keep it right: systemctl enable --now systemd-timesyncd (or chrony).";

/// Compares the clock with the configuration's age, and with a time server if one is named.
pub(super) async fn examine(config: &Path, server: Option<&str>) -> Vec<Finding> {
    let now = SystemTime::now();
    let mut findings = Vec::new();
    let written = std::fs::metadata(config).and_then(|metadata| metadata.modified());
    if written.is_ok_and(|written| written.duration_since(now).is_ok_and(|ahead| ahead > FUTURE)) {
        let found = "it is behind: the configuration was written in its future";
        findings.push(Finding::broken(AREA, &"this machine", found, ADVICE));
    }
    match server {
        Some(server) => findings.push(compare(server).await),
        None if findings.is_empty() => {
            let advice = "--ntp HOST compares it with a time server.";
            findings.push(Finding::skipped(AREA, &"this machine", "not compared with another one", advice));
        }
        None => {}
    }
    findings
}

async fn compare(server: &str) -> Finding {
    let place = if server.contains(':') { server.to_owned() } else { format!("{server}:123") };
    match timeout(PATIENCE, ask(&place)).await {
        Ok(Ok(offset)) if offset.abs() <= BEARABLE.as_secs_f64() => {
            Finding::well(AREA, &place, format!("ours differs by {:.1} s", offset.abs()))
        }
        Ok(Ok(offset)) => {
            let word = if offset > 0.0 { "behind" } else { "ahead" };
            Finding::broken(AREA, &place, format!("ours is {:.0} s {word}", offset.abs()), ADVICE)
        }
        Ok(Err(why)) => Finding::skipped(AREA, &place, why, "Name another time server."),
        Err(_elapsed) => Finding::skipped(AREA, &place, "no answer", "Name another time server."),
    }
}

/// Seconds by which the server is ahead of us, as SNTP finds them (RFC 4330 5).
async fn ask(server: &str) -> Result<f64, String> {
    let words = |why: std::io::Error| why.to_string();
    let target = tokio::net::lookup_host(server).await.map_err(words)?.next().ok_or("no such host")?;
    let socket = UdpSocket::bind(if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await.map_err(words)?;
    socket.connect(target).await.map_err(words)?;
    // What comes back as the originate timestamp tells our answer from anybody else's.
    let nonce: u64 = rand::random();
    let mut packet = [0_u8; 48];
    packet[0] = 0x23;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    let sent = seconds(SystemTime::now());
    socket.send(&packet).await.map_err(words)?;
    let mut answer = [0_u8; 48];
    loop {
        let length = socket.recv(&mut answer).await.map_err(words)?;
        if length == answer.len() && answer[24..32] == nonce.to_be_bytes() {
            break;
        }
    }
    offset(&answer, sent, seconds(SystemTime::now())).ok_or_else(|| "it does not know the time".to_owned())
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// `None` if the server is not synchronized itself.
fn offset(answer: &[u8; 48], sent: f64, received: f64) -> Option<f64> {
    let (leap, mode, stratum) = (answer[0] >> 6, answer[0] & 7, answer[1]);
    if leap == 3 || mode != 4 || stratum == 0 {
        return None;
    }
    let stamp = |at: usize| -> Option<f64> {
        let octets: [u8; 8] = answer.get(at..at + 8)?.try_into().ok()?;
        let whole = u64::from_be_bytes(octets);
        Some((whole >> 32) as f64 + (whole & 0xffff_ffff) as f64 / 4_294_967_296.0 - SINCE_1900 as f64)
    };
    Some(((stamp(32)? - sent) + (stamp(40)? - received)) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(first: u8, stratum: u8, at: u64) -> [u8; 48] {
        let mut packet = [0; 48];
        (packet[0], packet[1]) = (first, stratum);
        for place in [32, 40] {
            packet[place..place + 8].copy_from_slice(&((at + SINCE_1900) << 32).to_be_bytes());
        }
        packet
    }

    #[test]
    fn the_offset_is_the_servers_lead() {
        assert_eq!(offset(&answer(0x24, 2, 1_000), 990.0, 992.0), Some(9.0));
        assert_eq!(offset(&answer(0x24, 2, 1_000), 1_200.0, 1_200.0), Some(-200.0));
    }

    #[test]
    fn a_server_that_does_not_know_is_not_believed() {
        for (first, stratum) in [(0xe4, 2), (0x23, 2), (0x24, 0)] {
            assert_eq!(offset(&answer(first, stratum, 1_000), 1.0, 1.0), None, "{first:x} {stratum}");
        }
    }
}
