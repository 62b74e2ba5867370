internal import Glibc
internal import RoostCLinux

/// Waits for descriptors on the thread that asks, to the microsecond.
///
/// For programs that own their thread and have a schedule to keep. What lives on a thread of its own and is
/// called from others uses ``EventLoop``.
package final class Poller {
  private let epoll: Descriptor
  private var places = [roost_ready](repeating: roost_ready(), count: 256)

  package init() throws(SystemError) {
    let number = roost_epoll_create()
    guard number >= 0 else { throw SystemError("epoll_create1") }
    epoll = Descriptor(adopting: number)
  }

  /// Watches a descriptor for reading, and for writing if asked; closing it ends that.
  package func register(
    _ descriptor: Int32,
    token: UInt64,
    forWriting: Bool = false
  ) throws(SystemError) {
    try control(ROOST_EPOLL_ADD, descriptor, token: token, writing: forWriting)
  }

  /// Changes whether a registered descriptor is watched for writing.
  package func update(
    _ descriptor: Int32,
    token: UInt64,
    forWriting: Bool
  ) throws(SystemError) {
    try control(ROOST_EPOLL_CHANGE, descriptor, token: token, writing: forWriting)
  }

  private func control(
    _ operation: Int,
    _ descriptor: Int32,
    token: UInt64,
    writing: Bool
  ) throws(SystemError) {
    let flags = UInt32(ROOST_CAN_READ | (writing ? ROOST_CAN_WRITE : 0))
    let result = roost_epoll_control(epoll.number, Int32(operation), descriptor, flags, token)
    guard result == 0 else { throw SystemError("epoll_ctl") }
  }

  /// Waits until something is ready, at most so long, and answers how many are; ``subscript(_:)`` says which.
  package func wait(atMost nanoseconds: UInt64) -> Int {
    var milliseconds: Int32 = 0
    if nanoseconds >= 5_000_000 {
      milliseconds = Int32(min(nanoseconds / 1_000_000, 1_000_000))
    } else if nanoseconds > 0 {
      // epoll_wait knows milliseconds alone, which is coarse beside an answer that takes 100 microseconds.
      guard roost_wait_readable(epoll.number, nanoseconds) > 0 else { return 0 }
    }
    // SAFETY: the call fills at most `count` places.
    let count = unsafe places.withUnsafeMutableBufferPointer { buffer in
      unsafe roost_epoll_wait(
        epoll.number,
        buffer.baseAddress,
        Int32(buffer.count),
        milliseconds
      )
    }
    precondition(count >= 0 || errno == EINTR, "epoll_wait fails by interruption alone")
    return Int(max(count, 0))
  }

  /// What the last wait found in that place.
  package subscript(_ place: Int) -> Readiness {
    let ready = places[place]
    return Readiness(
      token: ready.token,
      canRead: Int(ready.flags) & ROOST_CAN_READ != 0,
      canWrite: Int(ready.flags) & ROOST_CAN_WRITE != 0,
      isBroken: Int(ready.flags) & ROOST_IS_BROKEN != 0
    )
  }
}
