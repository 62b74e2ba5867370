/// A 64-bit number with a meaning of its own, so that no two kinds are ever mixed up.
@usableFromInline
package protocol WireNumber: WireCodable, Hashable, Comparable, Sendable, CustomStringConvertible {
  var rawValue: UInt64 { get }
  init(_ rawValue: UInt64)
}

extension WireNumber {
  @inlinable
  package static var zero: Self { Self(0) }

  @inlinable
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    self.init(try input.read(UInt64.self))
  }

  @inlinable
  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: rawValue)
  }

  @inlinable
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  @inlinable
  package var description: String { String(rawValue) }
}

/// A member of the cluster; 0 is nobody.
@usableFromInline
package struct NodeID: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// One cluster, told apart from every other on each connection; 0 is not set.
@usableFromInline
package struct ClusterID: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A reign of at most one leader; the first is 1.
@usableFromInline
package struct Term: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A place in the log, counted from 1; 0 is the place before the first entry.
@usableFromInline
package struct LogIndex: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A state of the store: grows by one with each transaction that changes it.
@usableFromInline
package struct Revision: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A client's session, named by the log; 0 is none.
@usableFromInline
package struct SessionID: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A request within a session; the first is 1.
@usableFromInline
package struct SequenceNumber: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the cluster agrees that the time is, in nanoseconds since it was founded.
///
/// It comes from the log alone: stamps only grow, and stand still while there is no leader.
@usableFromInline
package struct ClusterTime: WireNumber {
  @usableFromInline
  package let rawValue: UInt64

  @inlinable
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}
