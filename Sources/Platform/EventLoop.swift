internal import Glibc
internal import RoostCLinux
internal import Synchronization

/// What a descriptor is ready for.
package struct Readiness: Sendable {
  /// The number under which the descriptor was registered.
  package let token: UInt64
  package let canRead: Bool
  package let canWrite: Bool
  /// The connection broke; a read or a write says how.
  package let isBroken: Bool
}

/// What the loop drives: it is told what is ready, and says when it wants to be called again.
package protocol LoopDriver: AnyObject, Sendable {
  /// Takes one turn on the loop's thread, and answers the next deadline in monotonic nanoseconds.
  ///
  /// The turn is also called when a deadline has passed or jobs have run; `ready` may be empty. Answers nil to
  /// end the loop.
  func turn(ready: [Readiness]) -> UInt64?
}

/// One thread that waits for descriptors, deadlines and jobs, and the executor of an actor that lives on it.
///
/// A turn of the loop: wait; run the jobs that other threads have handed in; let the driver read, step and
/// write. Everything that the driver owns is touched by this thread alone, so none of it has a lock; the
/// mailbox of jobs is the one place where threads meet.
package final class EventLoop: SerialExecutor {
  private struct Mailbox {
    var jobs: [UnownedJob] = []
    /// Set while a wake-up is on its way, so that a burst of jobs costs one.
    var isAwake = false
    /// Who runs the jobs.
    var runner = Runner.loop
  }

  private enum Runner {
    case loop
    /// The loop has ended; a job that still comes gets a thread that ends with it.
    case nobody
    case lateThread
  }

  private static let mailboxToken = UInt64.max

  private let epoll: Descriptor
  private let wakeUps: Descriptor
  private let mailbox = Mutex(Mailbox())
  /// The thread that runs jobs now, or did so last.
  private let thread = Atomic<UInt>(0)
  private let isEnding = Atomic(false)
  private let spinLimit: Duration

  /// A loop that looks again for as long as `spinLimit` before it sleeps, while work comes that fast.
  package init(spinLimit: Duration = .zero) throws(SystemError) {
    self.spinLimit = spinLimit
    let epoll = roost_epoll_create()
    guard epoll >= 0 else { throw SystemError("epoll_create1") }
    self.epoll = Descriptor(adopting: epoll)
    let wakeUps = roost_eventfd()
    guard wakeUps >= 0 else { throw SystemError("eventfd") }
    self.wakeUps = Descriptor(adopting: wakeUps)
    try register(self.wakeUps.number, token: Self.mailboxToken)
  }

  /// Starts the loop's thread, which ends when the driver wants no further turn.
  package func start(
    named name: String,
    driving driver: any LoopDriver
  ) throws(SystemError) {
    try Thread.start(named: name) { self.run(driver) }
  }

  /// Watches a descriptor for reading, and for writing if asked.
  package func register(
    _ descriptor: Int32,
    token: UInt64,
    forWriting: Bool = false
  ) throws(SystemError) {
    try control(ROOST_EPOLL_ADD, descriptor, token: token, reading: true, writing: forWriting)
  }

  /// Changes what a registered descriptor is watched for.
  package func update(
    _ descriptor: Int32,
    token: UInt64,
    reading: Bool,
    writing: Bool
  ) throws(SystemError) {
    try control(ROOST_EPOLL_CHANGE, descriptor, token: token, reading: reading, writing: writing)
  }

  private func control(
    _ operation: Int,
    _ descriptor: Int32,
    token: UInt64,
    reading: Bool,
    writing: Bool
  ) throws(SystemError) {
    let flags = (reading ? ROOST_CAN_READ : 0) | (writing ? ROOST_CAN_WRITE : 0)
    let result = roost_epoll_control(
      epoll.number,
      Int32(operation),
      descriptor,
      UInt32(flags),
      token
    )
    guard result == 0 else {
      throw SystemError("epoll_ctl")
    }
  }

  /// Makes the loop take a turn soon; from any thread.
  package func wakeUp() {
    let wakes = mailbox.withLock { mailbox in
      defer { mailbox.isAwake = true }
      return !mailbox.isAwake
    }
    if wakes { signalWakeUp() }
  }

  /// Ends the loop without another turn; from any thread.
  package func stop() {
    isEnding.store(true, ordering: .releasing)
    wakeUp()
  }

  private func signalWakeUp() {
    var one: UInt64 = 1
    // SAFETY: eight bytes of an integer. A full counter (EAGAIN) wakes just as well.
    _ = unsafe write(wakeUps.number, &one, 8)
  }

  private func clearWakeUp() {
    var count: UInt64 = 0
    // SAFETY: eight bytes of an integer.
    _ = unsafe read(wakeUps.number, &count, 8)
  }

  private func run(_ driver: any LoopDriver) {
    thread.store(UInt(pthread_self()), ordering: .releasing)
    var places = [roost_ready](repeating: roost_ready(), count: 256)
    var ready: [Readiness] = []
    ready.reserveCapacity(256)
    var deadline: UInt64 = 0
    var spinRule = SpinRule(limit: spinLimit)
    while true {
      wait(until: deadline, spinRule: &spinRule, in: &places, into: &ready)
      runJobs()
      guard !isEnding.load(ordering: .acquiring), let next = driver.turn(ready: ready) else {
        break
      }
      deadline = next
    }
    runJobsUntilNoneIsLeft()
  }

  /// Runs what has come, and from then on leaves later jobs to threads of their own.
  ///
  /// Calls of an actor whose loop has ended must not wait for ever.
  private func runJobsUntilNoneIsLeft() {
    var isDone = false
    while !isDone {
      runJobs()
      isDone = mailbox.withLock { mailbox in
        if mailbox.jobs.isEmpty { mailbox.runner = .nobody }
        return mailbox.jobs.isEmpty
      }
    }
  }

  private func startLateThread() {
    do throws(SystemError) {
      try Thread.start(named: "roost-late") {
        self.thread.store(UInt(pthread_self()), ordering: .releasing)
        self.runJobsUntilNoneIsLeft()
      }
    } catch {
      preconditionFailure("a process can start one thread more: \(error)")
    }
  }

  private func wait(
    until deadline: UInt64,
    spinRule: inout SpinRule,
    in places: inout [roost_ready],
    into ready: inout [Readiness]
  ) {
    ready.removeAll(keepingCapacity: true)
    let start = Machine.monotonicNanoseconds()
    let milliseconds = Self.milliseconds(from: start, until: deadline)
    var count: Int32 = 0
    if milliseconds != 0, spinRule.isWorthIt(at: start) {
      count = spin(from: start, until: deadline, spinRule: &spinRule, in: &places)
    }
    if count == 0 { count = poll(milliseconds, in: &places) }
    spinRule.didWait(Machine.monotonicNanoseconds() - start)
    guard count > 0 else {
      precondition(count == 0 || errno == EINTR, "epoll_wait fails by interruption alone")
      return
    }
    for place in places.prefix(Int(count)) {
      if place.token == Self.mailboxToken {
        clearWakeUp()
        continue
      }
      ready.append(
        Readiness(
          token: place.token,
          canRead: Int(place.flags) & ROOST_CAN_READ != 0,
          canWrite: Int(place.flags) & ROOST_CAN_WRITE != 0,
          isBroken: Int(place.flags) & ROOST_IS_BROKEN != 0
        )
      )
    }
  }

  /// Looks again and again for a while; answers how many places it filled.
  private func spin(
    from start: UInt64,
    until deadline: UInt64,
    spinRule: inout SpinRule,
    in places: inout [roost_ready]
  ) -> Int32 {
    let end = min(deadline, start + spinRule.limit)
    var now = start
    while true {
      let count = poll(0, in: &places)
      guard count == 0, now < end else { return count }
      // Others may need this processor, the sender of what is waited for among them.
      sched_yield()
      let before = now
      now = Machine.monotonicNanoseconds()
      guard spinRule.didYield(now - before, at: now) else { return 0 }
    }
  }

  private func poll(_ milliseconds: Int32, in places: inout [roost_ready]) -> Int32 {
    // SAFETY: the call fills at most `count` places.
    unsafe places.withUnsafeMutableBufferPointer { buffer in
      unsafe roost_epoll_wait(
        epoll.number,
        buffer.baseAddress,
        Int32(buffer.count),
        milliseconds
      )
    }
  }

  /// The waiting time for `epoll_wait`: rounded up, since to wake too early is to spin.
  private static func milliseconds(from now: UInt64, until deadline: UInt64) -> Int32 {
    guard deadline != .max else { return -1 }
    guard deadline > now else { return 0 }
    return Int32(min((deadline - now + 999_999) / 1_000_000, 3_600_000))
  }

  private func runJobs() {
    while true {
      let jobs = mailbox.withLock { mailbox in
        mailbox.isAwake = false
        defer { mailbox.jobs.removeAll() }
        return mailbox.jobs
      }
      if jobs.isEmpty { return }
      for job in jobs { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
  }

  // MARK: SerialExecutor

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let (wakes, startsThread) = mailbox.withLock { mailbox in
      mailbox.jobs.append(job)
      let startsThread = mailbox.runner == .nobody
      if startsThread { mailbox.runner = .lateThread }
      defer { mailbox.isAwake = true }
      return (!mailbox.isAwake, startsThread)
    }
    if startsThread { startLateThread() } else if wakes { signalWakeUp() }
  }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: self)
  }

  package func checkIsolated() {
    precondition(isOnLoop, "this runs on the loop's thread alone")
  }

  package func isIsolatingCurrentContext() -> Bool? { isOnLoop }

  /// Whether the caller runs on the loop's thread.
  package var isOnLoop: Bool {
    thread.load(ordering: .acquiring) == UInt(pthread_self())
  }
}
