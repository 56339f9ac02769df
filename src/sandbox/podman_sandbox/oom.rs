//! The kernel's own count of what it killed in a container for want of memory. It is gone with the
//! container's control group, soon after its last process: whoever cannot read it any more has to
//! guess.

use std::path::PathBuf;

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A container's counter.
#[derive(Debug, Default)]
pub(super) struct OomCounter {
    file: Option<PathBuf>,
}

impl OomCounter {
    /// Returns the counter of the container in which a process runs.
    pub(super) async fn of_process(id: i64) -> Self {
        let groups = tokio::fs::read_to_string(format!("/proc/{id}/cgroup")).await;
        Self {
            file: file_of(&groups.unwrap_or_default()),
        }
    }

    /// Returns how many processes were killed; nothing when nobody knows.
    pub(super) async fn kills(&self) -> Option<u64> {
        let counters = tokio::fs::read_to_string(self.file.as_ref()?).await;
        count_in(&counters.ok()?)
    }
}

/// Returns the file of the counter, of version 1 or 2 of control groups.
fn file_of(groups: &str) -> Option<PathBuf> {
    let of_memory = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let counts_memory = controllers.split(',').any(|name| name == "memory");
        counts_memory.then(|| format!("{CGROUPS}/memory{path}/memory.oom_control"))
    });
    let unified = || {
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        Some(format!("{CGROUPS}{path}/memory.events"))
    };
    of_memory.or_else(unified).map(PathBuf::from)
}

fn count_in(counters: &str) -> Option<u64> {
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    counters.lines().find_map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found_in_either_version_of_control_groups() {
        let check = |groups, file: &str| assert_eq!(file_of(groups), Some(PathBuf::from(file)));
        check(
            "9:name=systemd:/p/c\n4:cpu,memory:/p/c\n0::/p/c\n",
            "/sys/fs/cgroup/memory/p/c/memory.oom_control",
        );
        check("0::/p/c\n", "/sys/fs/cgroup/p/c/memory.events");
        assert_eq!(file_of(""), None);
        assert_eq!(
            count_in("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            Some(3)
        );
        assert_eq!(
            count_in("low 0\noom 1\noom_kill 1\noom_group_kill 0\n"),
            Some(1)
        );
        assert_eq!(count_in("low 0\n"), None);
    }
}
