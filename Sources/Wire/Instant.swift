/// A moment on one machine's monotonic clock, in nanoseconds.
///
/// Instants of two machines, or of two starts of one, cannot be compared. Arithmetic stops at the ends
/// of the range instead of trapping: a clock that misbehaves must not end the node.
@usableFromInline
package struct Instant: Hashable, Comparable, Sendable {
  @usableFromInline
  package let nanoseconds: UInt64

  @inlinable
  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// A moment that never comes.
  @inlinable
  package static var distantFuture: Instant { Instant(nanoseconds: .max) }

  @inlinable
  package static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// The moment `nanoseconds` later.
  @inlinable
  package func advanced(byNanoseconds nanoseconds: UInt64) -> Instant {
    let (sum, overflow) = self.nanoseconds.addingReportingOverflow(nanoseconds)
    return Instant(nanoseconds: overflow ? .max : sum)
  }

  /// The moment `duration` later; a negative duration counts as none.
  @inlinable
  package func advanced(by duration: Duration) -> Instant {
    advanced(byNanoseconds: duration.wholeNanoseconds)
  }

  /// How many nanoseconds have passed since `earlier`, or 0 if it is later than this.
  @inlinable
  package func nanoseconds(since earlier: Instant) -> UInt64 {
    nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
  }
}

extension Duration {
  /// The duration in nanoseconds, held within 0 and `UInt64.max`.
  @inlinable
  package var wholeNanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (high, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = high.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
    return overflow || carry ? .max : sum
  }
}
