//! A store in Redis: where it is, and who we are to it.

use super::super::files::Files;
use super::super::problem::Report;
use super::super::{raw, source};
use super::millis;
use crate::store::redis::{Mode, Password, RedisSettings, check_url};

/// Characters of the longest prefix.
const LONGEST_PREFIX: usize = 64;

/// `None` if there is none, or no address that makes sense.
pub(super) fn settings(store: &raw::Store, files: &mut Files, report: &mut Report<'_>) -> Option<RedisSettings> {
    let written = store.redis.as_ref()?;
    if store.path.is_some() {
        report.error("store.path", "there is a [store.redis] too: what is remembered has one home; take one away");
    }
    if written.urls.is_empty() {
        report.error("store.redis.urls", "needs an address at least, such as redis://192.0.2.1:6379");
    }
    for (index, url) in written.urls.iter().enumerate() {
        report.take(&source::element("store.redis.urls", index), check_url(url));
    }
    let mode = mode(written, report);
    let of_user = written.username.is_some() && written.password_file.is_none();
    if of_user {
        report.error("store.redis.username", "needs password_file beside it");
    }
    let prefix = &written.prefix;
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
    if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.chars().all(fits) {
        let reason = format!("must be 1 to {LONGEST_PREFIX} printable characters without braces, such as `gatepost:`");
        report.error("store.redis.prefix", reason);
    }
    let password = password(&written.password_file, "store.redis.password_file", files, report);
    let of_sentinels = "store.redis.sentinel_password_file";
    Some(RedisSettings {
        urls: written.urls.clone(),
        mode,
        username: written.username.clone(),
        password,
        sentinel_password: self::password(&written.sentinel_password_file, of_sentinels, files, report),
        tls_ca: roots(written, files, report),
        prefix: prefix.clone(),
        deadline: millis(written.deadline_ms),
    })
}

fn mode(written: &raw::Redis, report: &mut Report<'_>) -> Mode {
    let is_sentinel = written.mode == raw::RedisMode::Sentinel;
    for (key, is_set) in [
        ("master_name", written.master_name.is_some()),
        ("sentinel_password_file", written.sentinel_password_file.is_some()),
    ] {
        if is_set && !is_sentinel {
            report.warning(&format!("store.redis.{key}"), "has no effect without mode = \"sentinel\"");
        }
    }
    match written.mode {
        raw::RedisMode::Standalone => Mode::Standalone,
        raw::RedisMode::Cluster => Mode::Cluster,
        raw::RedisMode::Sentinel => {
            if written.master_name.is_none() {
                report.error("store.redis.mode", "needs master_name: sentinels may know several masters");
            }
            Mode::Sentinel { master: written.master_name.clone().unwrap_or_default() }
        }
    }
}

/// The first line of a file.
fn password(written: &Option<String>, key: &str, files: &mut Files, report: &mut Report<'_>) -> Option<Password> {
    let path = files.resolve(written.as_deref()?);
    if !files.are_read() {
        return None;
    }
    let text = report.take(key, files.read(&path))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        report.error(key, format!("{} begins with an empty line: the password stands in the first", path.display()));
    }
    Some(Password::new(password))
}

fn roots(written: &raw::Redis, files: &mut Files, report: &mut Report<'_>) -> Option<String> {
    let path = files.resolve(written.tls_ca.as_deref()?);
    if !written.urls.iter().any(|url| url.starts_with("rediss:") || url.starts_with("valkeys:")) {
        report.warning("store.redis.tls_ca", "has no effect without TLS: addresses of TLS begin with rediss://");
    }
    if !files.are_read() {
        return None;
    }
    let text = report.take("store.redis.tls_ca", files.read(&path))?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        report.error("store.redis.tls_ca", format!("{} holds no certificate in PEM", path.display()));
    }
    Some(text)
}
