//! When the thread that syncs the journal wakes up.
//!
//! A sync costs the same for one hold and for a hundred, so holds wait for each other: for [`GROUP`] where an answer waits
//! for them, and where none does for [`LAZY`], which is over long before most upstreams answer.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The least time from one sync to the next.
const GROUP: Duration = Duration::from_micros(400);
/// How long a hold waits for others while nobody waits for it.
const LAZY: Duration = Duration::from_millis(5);

/// The thread works; it waits whether somebody is in a hurry; there is nothing new.
const AWAKE: u8 = 0;
const DOZING: u8 = 1;
const ASLEEP: u8 = 2;

/// Wakes the thread. What is new is behind a lock of the journal's, which the thread sleeps on.
#[derive(Default)]
pub(crate) struct Alarm {
    wake: Condvar,
    depth: AtomicU8,
    hurried: AtomicBool,
}

impl Alarm {
    /// There is something new, for which somebody will wait.
    pub(crate) fn soon<T>(&self, lock: &Mutex<T>) {
        self.wake_from(ASLEEP, lock);
    }

    /// Somebody waits for what is new.
    pub(crate) fn hurry<T>(&self, lock: &Mutex<T>) {
        if !self.hurried.load(Ordering::SeqCst) {
            self.hurried.store(true, Ordering::SeqCst);
        }
        self.wake_from(DOZING, lock);
    }

    /// Wakes it, whatever there is.
    pub(crate) fn ring(&self) {
        self.wake.notify_one();
    }

    fn wake_from<T>(&self, depth: u8, lock: &Mutex<T>) {
        // It goes to sleep under the lock, after a look at what is new.
        if self.depth.load(Ordering::SeqCst) >= depth {
            let _new = lock.lock();
            self.depth.store(AWAKE, Ordering::SeqCst);
            self.wake.notify_one();
        }
    }

    /// Sleeps until there may be something new.
    pub(crate) fn sleep<T>(&self, lock: &mut MutexGuard<'_, T>) {
        self.depth.store(ASLEEP, Ordering::SeqCst);
        self.wake.wait_for(lock, Duration::from_secs(3600));
        self.depth.store(AWAKE, Ordering::SeqCst);
    }

    /// Waits until it is time to sync again, after a sync that began at `begun`, or until there is no time.
    pub(crate) fn doze<T>(&self, lock: &mut MutexGuard<'_, T>, begun: Instant, no_time: impl Fn(&T) -> bool) {
        let lazily = Instant::now() + LAZY;
        while !no_time(lock) {
            // Whoever hurries looks at these two the other way round.
            self.depth.store(DOZING, Ordering::SeqCst);
            let due = if self.hurried.load(Ordering::SeqCst) {
                // Nobody can make it sooner, so nobody need try.
                self.depth.store(AWAKE, Ordering::SeqCst);
                begun + GROUP
            } else {
                lazily
            };
            if self.wake.wait_until(lock, due).timed_out() {
                break;
            }
        }
        self.depth.store(AWAKE, Ordering::SeqCst);
        // What anybody waited for until now came before the lock was taken, and is synced with the rest.
        self.hurried.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// What is new, and whether it is over.
    #[derive(Default)]
    struct New {
        count: u64,
        over: bool,
    }

    #[test]
    fn all_that_is_new_is_seen_whether_anybody_waits_or_not() {
        let (alarm, lock) = (Arc::new(Alarm::default()), Arc::new(Mutex::new(New::default())));
        let (seen, sees) = mpsc::channel();
        let thread = std::thread::spawn({
            let (alarm, lock) = (Arc::clone(&alarm), Arc::clone(&lock));
            move || {
                let mut new = lock.lock();
                let (mut last, mut begun) = (0, Instant::now());
                while !new.over {
                    if new.count == last {
                        alarm.sleep(&mut new);
                        continue;
                    }
                    alarm.doze(&mut new, begun, |new| new.over);
                    (begun, last) = (Instant::now(), new.count);
                    MutexGuard::unlocked(&mut new, || seen.send(last).unwrap());
                }
            }
        });
        for count in 1..500 {
            lock.lock().count = count;
            if count % 3 == 0 {
                alarm.hurry(&lock)
            } else {
                alarm.soon(&lock)
            }
            while sees.recv_timeout(Duration::from_secs(60)).unwrap() < count {}
        }
        lock.lock().over = true;
        alarm.ring();
        thread.join().unwrap();
    }
}
