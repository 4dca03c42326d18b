//! Whether the user whom the service runs as can read the configuration.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::DEFAULT_CONFIG;
use super::finding::Finding;

/// Whom the unit runs the service as.
const USER: &str = "gatepost";
/// What may be done with a file, and with a directory around it.
const READ: u32 = 0o4;
const PASS: u32 = 0o1;

/// Looks at the file that the unit reads, and at no other; nothing is found where there is no such user.
pub(super) fn examine(path: &Path) -> Option<Finding> {
    let path = Some(path).filter(|path| *path == Path::new(DEFAULT_CONFIG))?;
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let reader = Reader::of(USER, &text("/etc/passwd"), &text("/etc/group"))?;
    let around = path.ancestors().skip(1).map(|directory| (directory, PASS));
    let found = reader.kept_out(std::iter::once((path, READ)).chain(around))?;
    let advice = format!(
        "Its mode or its group is wrong, perhaps by the umask of who wrote it: chgrp {USER} {0} && chmod 640 {0} (a \
         directory: chmod 750).",
        found.display()
    );
    let said = format!("the user {USER}, whom the service runs as, is kept out by {}", found.display());
    Some(Finding::broken("configuration", &path.display(), said, &advice))
}

/// A user, and the groups that it is in.
#[derive(Debug, PartialEq, Eq)]
struct Reader {
    user: u32,
    groups: Vec<u32>,
}

impl Reader {
    /// The user of that name in the files `passwd` and `group`.
    fn of(name: &str, users: &str, groups: &str) -> Option<Self> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let user = users.lines().map(fields).find(|user| user.first().is_some_and(|first| first == name))?;
        let number = |at: usize| user.get(at).and_then(|field| field.parse().ok());
        let mut all = vec![number(3)?];
        for group in groups.lines().map(fields) {
            let is_in = group.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
            all.extend(group.get(2).filter(|_| is_in).and_then(|field| field.parse::<u32>().ok()));
        }
        Some(Self { user: number(2)?, groups: all })
    }

    /// The first of these places where it may not do what it must. Where an access list may say more than the mode does
    /// it counts as let in.
    fn kept_out<'p>(&self, places: impl IntoIterator<Item = (&'p Path, u32)>) -> Option<&'p Path> {
        let mut places = places.into_iter();
        let is_out = |(place, what): &(&Path, u32)| {
            place.metadata().is_ok_and(|metadata| !self.may(&metadata, *what)) && !has_access_list(place)
        };
        places.find(is_out).map(|(place, _)| place)
    }

    fn may(&self, metadata: &Metadata, what: u32) -> bool {
        let place = match () {
            () if self.user == metadata.uid() => 6,
            () if self.groups.contains(&metadata.gid()) => 3,
            () => 0,
        };
        metadata.mode() >> place & what != 0
    }
}

fn has_access_list(path: &Path) -> bool {
    rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0_u8; 0]).is_ok_and(|length| length > 0)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn who_is_in_which_groups() {
        let users = "root:x:0:0::/root:/bin/sh\ngatepost:x:990:991::/:/sbin/nologin\nodd\n";
        let groups = "root:x:0:\ngatepost:x:991:\ntls:x:44:a,gatepost\nother:x:45:gatepost2\n";
        assert_eq!(Reader::of(USER, users, groups), Some(Reader { user: 990, groups: vec![991, 44] }));
        assert_eq!(Reader::of("nobody", users, groups), None);
    }

    #[test]
    fn a_mode_keeps_out_whom_it_does_not_name() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("gatepost.toml");
        std::fs::write(&file, "").expect("a file");
        let (user, group) =
            std::fs::metadata(&file).map(|metadata| (metadata.uid(), metadata.gid())).expect("it is there");
        let owner = Reader { user, groups: Vec::new() };
        let member = Reader { user: user + 1, groups: vec![group] };
        let stranger = Reader { user: user + 1, groups: vec![group + 1] };
        let both = [(&*file, READ), (place.path(), PASS)];
        for (of_file, of_directory, reader, expected) in [
            (0o600, 0o700, &owner, None),
            (0o640, 0o750, &member, None),
            (0o600, 0o750, &member, Some(&*file)),
            (0o640, 0o700, &member, Some(place.path())),
            (0o640, 0o755, &stranger, Some(&*file)),
            (0o644, 0o755, &stranger, None),
            (0o046, 0o755, &owner, Some(&*file)),
        ] {
            set_permissions(place.path(), Permissions::from_mode(0o700)).expect("ours");
            set_permissions(&file, Permissions::from_mode(of_file)).expect("ours");
            set_permissions(place.path(), Permissions::from_mode(of_directory)).expect("ours");
            assert_eq!(reader.kept_out(both), expected, "{of_file:o} {of_directory:o} {reader:?}");
        }
    }
}
