//! How much memory there is for this process.

use std::path::{Path, PathBuf};

/// What large bodies may take in memory where nobody says it: an eighth of what there is for this process, and at least and at
/// most so much, in bytes.
const SHARE: u64 = 8;
const LEAST: u64 = 64 << 20;
const MOST: u64 = 1 << 30;

/// What large bodies may take where nobody says it, in bytes.
pub(crate) fn for_bodies() -> u64 {
    share(available(Path::new("/")))
}

fn share(available: Option<u64>) -> u64 {
    available.map_or(MOST, |bytes| bytes / SHARE).clamp(LEAST, MOST)
}

/// The memory of the machine, or less where the group of processes may have less: the files are Linux's
/// (cgroups(7), proc_meminfo(5)). `None` where there are none.
fn available(root: &Path) -> Option<u64> {
    let read = |path: PathBuf| std::fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo".into()).and_then(|text| {
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        total.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let groups = read("proc/self/cgroup".into()).unwrap_or_default();
    let limits =
        groups.lines().filter_map(files).flatten().filter_map(|path| read(path)?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

/// The files that may limit the memory of the group that a line of `/proc/self/cgroup` names, and of those that it is in.
fn files(line: &str) -> Option<Vec<PathBuf>> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, group) = (parts.next()?, parts.next()?.trim_start_matches('/'));
    let (hierarchy, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return None,
    };
    Some(Path::new(group).ancestors().map(|group| Path::new(hierarchy).join(group).join(file)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_may_have_less_than_the_machine_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(available(root.path()), None);
        write("proc/meminfo", "MemFree:  1 kB\nMemTotal:       16384000 kB\n");
        assert_eq!(available(root.path()), Some(16_384_000 << 10));
        write("proc/self/cgroup", "4:memory:/a\n3:cpu:/a\n0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(available(root.path()), Some(16_384_000 << 10));
        write("sys/fs/cgroup/a/memory.max", "2147483648\n");
        assert_eq!(available(root.path()), Some(2 << 30));
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
        assert_eq!(available(root.path()), Some(512 << 20));
    }

    #[test]
    fn the_share_has_bounds() {
        for (available, expected) in
            [(None, MOST), (Some(64 << 30), MOST), (Some(4 << 30), 512 << 20), (Some(128 << 20), LEAST)]
        {
            assert_eq!(share(available), expected, "{available:?}");
        }
    }
}
