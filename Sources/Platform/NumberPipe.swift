internal import Glibc

/// A way for numbers from one process to another.
package struct NumberPipe: ~Copyable, Sendable {
  private let readEnd: Descriptor
  private let writeEnd: Descriptor

  package init() throws(SystemError) {
    var ends: [Int32] = [0, 0]
    // SAFETY: the call fills two numbers.
    guard unsafe pipe(&ends) == 0 else { throw SystemError("pipe") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // What is told to somebody who does not listen is lost, and nobody waits for it.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    readEnd = Descriptor(adopting: ends[0])
    writeEnd = Descriptor(adopting: ends[1])
  }

  /// What a child is passed to read from.
  package var readingDescriptor: Int32 { readEnd.number }

  /// Sends a number.
  package func send(_ number: UInt64) {
    var number = number
    // SAFETY: eight bytes of an integer; that few are written whole or not at all.
    _ = unsafe write(writeEnd.number, &number, 8)
  }
}

/// What came through a ``NumberPipe`` that this process was passed.
package enum PassedNumbers {
  /// What one attempt to read found.
  package enum Found: Equatable, Sendable {
    case number(UInt64)
    /// The other side has gone.
    case end
  }

  /// Keeps the descriptor from the programs that this process starts.
  package static func keepToThisProcess(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  /// Takes the next number; call it when the descriptor is readable.
  package static func take(from descriptor: Int32) -> Found {
    var number: UInt64 = 0
    // SAFETY: eight bytes of an integer.
    let count = retryingInterrupted { unsafe read(descriptor, &number, 8) }
    return count == 8 ? .number(number) : .end
  }
}

/// Waiting for descriptors without a loop.
package enum Readable {
  /// Waits until one of these is readable or a moment of the monotonic clock has come, and answers which are.
  package static func wait(for descriptors: [Int32], until deadline: UInt64) -> [Bool] {
    var places = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let now = Machine.monotonicNanoseconds()
    let rest = deadline > now ? (deadline - now + 999_999) / 1_000_000 : 0
    // SAFETY: the places are given and counted.
    _ = unsafe poll(&places, nfds_t(places.count), Int32(min(rest, 60_000)))
    return places.map { $0.revents != 0 }
  }
}
