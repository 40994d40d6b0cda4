//! What the kernel says of the process, under the names that every exporter gives it.

use super::exposition::Page;
use super::names;

/// The kernel's unit of processor time in `/proc`, ticks a second: fixed for user space.
const TICKS_PER_SEC: f64 = 100.0;

/// Writes what can be read; what cannot is left out.
pub(super) fn write(page: &mut Page) {
    let _ = families(page);
    if let Ok(folder) = std::fs::read_dir("/proc/self/fd") {
        page.family(&names::OPEN_FDS).value(&[], folder.count());
    }
    let limit = std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| {
        text.lines().find_map(|line| {
            line.strip_prefix("Max open files")?.split_whitespace().next().map(str::to_owned)
        })
    });
    if let Some(limit) = limit.filter(|limit| limit.parse::<u64>().is_ok()) {
        page.family(&names::MAX_FDS).value(&[], limit);
    }
}

fn families(page: &mut Page) -> Option<()> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name may hold anything; the numbers begin behind its closing bracket, with the
    // third field of proc(5).
    let (_, numbers) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = numbers.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    page.family(&names::CPU).value(&[], (field(14)? + field(15)?) / TICKS_PER_SEC);
    page.family(&names::THREADS).value(&[], field(20)?);
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())?;
    page.family(&names::RESIDENT).value(&[], kibibytes * 1024);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::exposition::{Format, Page};

    #[test]
    fn a_process_knows_its_memory_its_files_and_its_age() {
        let mut page = Page::new(Format::Text);
        super::write(&mut page);
        let text = page.end();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
