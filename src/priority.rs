//! Lowers the priority of the calling thread. If that is not permitted, it keeps its priority; on systems other than Linux nothing is
//! changed, since it would apply to the whole process.

/// The calling thread runs only where a core has nothing else to do, and stops the moment it has. Where that is refused: [`give_way`].
#[cfg(target_os = "linux")]
pub fn give_way_at_once() {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id,
    };
    // The nice value means nothing in the idle class.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle));
    give_way();
}

/// The calling thread has about a tenth of the weight of the rest of the process, never nothing: users who log in are served on a busy
/// machine, too.
#[cfg(target_os = "linux")]
pub fn give_way() {
    const STEPS: i32 = 10;
    const NICEST: i32 = 19;
    // On Linux both are of the calling thread alone.
    if let Ok(nice) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, (nice + STEPS).min(NICEST));
    }
}

#[cfg(not(target_os = "linux"))]
pub fn give_way_at_once() {}

#[cfg(not(target_os = "linux"))]
pub fn give_way() {}
