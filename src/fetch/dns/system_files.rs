//! Watches `/etc/resolv.conf` and `/etc/hosts`, which change when a laptop or container moves to another network, or a
//! VPN connects. They are checked when a name is resolved, at most once a second, and read again if they changed. Out:
//! [`SystemNames`], for `lookup.rs`.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::hosts_file::HostsFile;
use super::resolv_conf::ResolvConf;

/// How often the files are checked, and how long a changed one must have stayed the same: a file that is being written
/// can be empty or incomplete.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The servers, search domains and hosts of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SystemNames {
    pub resolv_conf: Arc<ResolvConf>,
    pub hosts: Arc<HostsFile>,
}

/// The watched files and their parsed contents.
#[derive(Debug)]
pub(super) struct SystemFiles {
    /// Absent if `dns.servers` is set.
    resolv_conf: Option<WatchedFile>,
    hosts: WatchedFile,
    names: SystemNames,
    checked: Instant,
}

impl SystemFiles {
    /// Reads the files of this system; `servers` replace resolv.conf.
    pub fn read(servers: Option<&[SocketAddr]>) -> Self {
        Self::at(servers, "/etc/resolv.conf".into(), "/etc/hosts".into())
    }

    fn at(servers: Option<&[SocketAddr]>, resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        let given = servers.map(|servers| Arc::new(ResolvConf::of_servers(servers)));
        let mut files = Self {
            resolv_conf: given.is_none().then(|| WatchedFile::new(resolv_conf)),
            hosts: WatchedFile::new(hosts),
            names: SystemNames { resolv_conf: given.unwrap_or_default(), hosts: Arc::default() },
            checked: Instant::now(),
        };
        files.read_resolv_conf();
        files.read_hosts();
        files
    }

    /// The contents that were read last.
    pub fn names(&self) -> SystemNames {
        self.names.clone()
    }

    /// Checks the files, if that is due; returns the new contents if they differ.
    pub fn changed(&mut self) -> Option<SystemNames> {
        if self.checked.elapsed() < CHECK_EVERY {
            return None;
        }
        self.checked = Instant::now();
        let before = self.names();
        if self.resolv_conf.as_mut().is_some_and(WatchedFile::has_changed) {
            self.read_resolv_conf();
        }
        if self.hosts.has_changed() {
            self.read_hosts();
        }
        (self.names != before).then(|| self.names())
    }

    /// Reads resolv.conf. If it names no server, the previous ones stay.
    fn read_resolv_conf(&mut self) {
        let Some(file) = &self.resolv_conf else { return };
        let path = file.path.display();
        match file.read().map_err(Into::into).and_then(|text| ResolvConf::parse(&text)) {
            Ok(read) => self.names.resolv_conf = Arc::new(read),
            Err(error) if self.names.resolv_conf.servers.is_empty() => {
                tracing::warn!(event = "no_dns_servers", %path, %error, "{path} names no DNS server; set dns.servers");
            }
            Err(error) => {
                tracing::warn!(event = "no_dns_servers", %path, %error, "{path} names no DNS server now; the previous ones are still used");
            }
        }
    }

    /// Reads the hosts file. A missing file is empty; if it cannot be read, the previous contents stay.
    fn read_hosts(&mut self) {
        match self.hosts.read() {
            Ok(text) => self.names.hosts = Arc::new(HostsFile::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.names.hosts = Arc::default(),
            Err(error) => {
                let path = self.hosts.path.display();
                tracing::warn!(event = "hosts_file_unreadable", %path, %error, "{path} cannot be read");
            }
        }
    }
}

/// A file, and its stamps when it was read and checked last.
#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    read: Stamp,
    seen: Stamp,
}

/// Identifies a version of a file, also after a rename and behind a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    Missing,
    /// Device, inode, size, and the seconds and nanoseconds of its last change.
    Of([u64; 3], (i64, i64)),
}

impl WatchedFile {
    fn new(path: PathBuf) -> Self {
        let stamp = Stamp::of(&path);
        Self { path, read: stamp, seen: stamp }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        std::fs::read(&self.path)
    }

    /// Whether the file differs from the one that was read, and has not changed since the last check.
    fn has_changed(&mut self) -> bool {
        let now = Stamp::of(&self.path);
        let is_at_rest = std::mem::replace(&mut self.seen, now) == now || now.is_old();
        is_at_rest && std::mem::replace(&mut self.read, now) != now
    }
}

impl Stamp {
    fn of(path: &Path) -> Self {
        std::fs::metadata(path).map_or(Self::Missing, |file| {
            Self::Of([file.dev(), file.ino(), file.size()], (file.ctime(), file.ctime_nsec()))
        })
    }

    /// Whether the file changed more than two checks ago. If the clock was set back, it counts as new for one check
    /// only.
    fn is_old(self) -> bool {
        let Self::Of(_, (seconds, _)) = self else { return false };
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
        changed.elapsed().is_ok_and(|age| age > 2 * CHECK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;
    use tokio::time::advance;

    const OLD: &str = "nameserver 192.0.2.1\n";
    const NEW: &str = "nameserver 192.0.2.2\nsearch corp.test\n";

    /// A directory with a resolv.conf and a hosts file, and their watch.
    struct Etc {
        dir: TempDir,
        files: SystemFiles,
    }

    impl Etc {
        fn with(servers: Option<&[SocketAddr]>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let [resolv_conf, hosts] = ["resolv.conf", "hosts"].map(|name| dir.path().join(name));
            fs::write(&resolv_conf, OLD).unwrap();
            fs::write(&hosts, "192.0.2.9 box\n").unwrap();
            Self { files: SystemFiles::at(servers, resolv_conf, hosts), dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// Checks the files twice, enough for a change that has settled.
        async fn look(&mut self) -> Option<SystemNames> {
            for _ in 0..2 {
                advance(CHECK_EVERY).await;
                if let Some(changed) = self.files.changed() {
                    return Some(changed);
                }
            }
            None
        }

        /// The servers, and the addresses of `box`.
        fn say(&self) -> (Vec<String>, Vec<String>) {
            let names = self.files.names();
            let servers = names.resolv_conf.servers.iter().map(ToString::to_string).collect();
            (servers, names.hosts.addresses("box").iter().map(ToString::to_string).collect())
        }
    }

    fn servers(last: u8) -> Vec<String> {
        vec![format!("192.0.2.{last}:53")]
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_rewritten_replaced_or_linked_anew_is_read_again() {
        let in_place = |etc: &Etc| fs::write(etc.path("resolv.conf"), NEW).unwrap();
        let by_rename = |etc: &Etc| {
            fs::write(etc.path("new"), NEW).unwrap();
            fs::rename(etc.path("new"), etc.path("resolv.conf")).unwrap();
        };
        let by_link = |etc: &Etc| {
            fs::write(etc.path("new"), NEW).unwrap();
            fs::remove_file(etc.path("resolv.conf")).unwrap();
            symlink("new", etc.path("resolv.conf")).unwrap();
        };
        for change in [&in_place as &dyn Fn(&Etc), &by_rename, &by_link] {
            let mut etc = Etc::with(None);
            change(&etc);
            assert!(etc.files.changed().is_none(), "not before the time");
            assert_eq!(etc.look().await, Some(etc.files.names()));
            assert_eq!(etc.say().0, servers(2));
            assert_eq!(etc.look().await, None, "once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_just_being_written_is_not_read() {
        let mut etc = Etc::with(None);
        for half in ["", "nameserver 192.0.2", "nameserver 192.0.2.3\n"] {
            fs::write(etc.path("resolv.conf"), half).unwrap();
            advance(CHECK_EVERY).await;
            assert_eq!(etc.files.changed(), None, "{half}");
        }
        assert!(etc.look().await.is_some());
        assert_eq!(etc.say().0, servers(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_without_a_server_leaves_the_servers_of_before_until_it_has_one() {
        let empty = |path: &Path| fs::write(path, "# by nobody\n").unwrap();
        let removed = |path: &Path| fs::remove_file(path).unwrap();
        let unreadable = |path: &Path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        };
        for change in [&empty as &dyn Fn(&Path), &removed, &unreadable] {
            let mut etc = Etc::with(None);
            change(&etc.path("resolv.conf"));
            assert_eq!((etc.look().await, etc.say().0), (None, servers(1)));
            let _ = fs::remove_dir(etc.path("resolv.conf"));
            fs::write(etc.path("resolv.conf"), NEW).unwrap();
            assert!(etc.look().await.is_some());
            assert_eq!(etc.say().0, servers(2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn servers_of_the_configuration_stay_and_the_hosts_file_is_still_read() {
        let given: SocketAddr = "192.0.2.8:5353".parse().unwrap();
        let mut etc = Etc::with(Some(&[given]));
        fs::write(etc.path("resolv.conf"), NEW).unwrap();
        assert_eq!(etc.look().await, None);
        fs::write(etc.path("hosts"), "192.0.2.10 box\n").unwrap();
        assert!(etc.look().await.is_some());
        assert_eq!(etc.say(), (vec![given.to_string()], vec!["192.0.2.10".to_owned()]));
        fs::remove_file(etc.path("hosts")).unwrap();
        assert!(etc.look().await.is_some());
        assert_eq!(etc.say().1, [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_written_again_with_the_same_text_changes_nothing() {
        let mut etc = Etc::with(None);
        fs::remove_file(etc.path("resolv.conf")).unwrap();
        fs::write(etc.path("resolv.conf"), OLD).unwrap();
        assert_eq!(etc.look().await, None);
    }
}
