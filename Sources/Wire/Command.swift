/// What a client wants done, by every replica alike.
///
///     offset  size  field
///     0       1     kind    1 to 7 operations; the rest as below
///     1       ...   body
///
/// A kind is never given another meaning; one that a replica does not know is answered with
/// ``ErrorCode/malformed``.
package enum Command: Hashable, Sendable {
  /// Kinds 1 to 7.
  case operation(Operation)
  /// Kind 16.
  case openSession(OpenSession)
  /// Kind 17: the session lives another time to live from now on. Sequence 0 is allowed.
  case keepAlive
  /// Kind 18: ends the session, its locks and its keys, at once and without lock delays.
  case closeSession
  /// Kind 19.
  case outcome(Outcome)
  /// Kind 32: `ttl` in milliseconds, 8 bytes.
  case grantLease(ttl: UInt64)
  /// Kind 33: how many, 4 bytes, and the ids, 8 bytes each. Sequence 0 is allowed.
  case renewLeases([UInt64])
  /// Kind 34: the id, 8 bytes.
  case revokeLease(UInt64)
  /// Kind 48.
  case acquire(Acquire)
  /// Kind 49.
  case release(Release)
  /// Kind 50: the sequence of the `acquire` that shall wait no longer, 8 bytes.
  case cancelAcquire(SequenceNumber)
  /// Kind 51: the lock's name; takes it from whoever holds it.
  case forceRelease([UInt8])
  /// Kind 52.
  case bindPrefix(BindPrefix)
  /// Kind 53: the prefix, which any write may then touch.
  case unbindPrefix([UInt8])
  /// Kind 64: drops what is needed only for reads below the revision, 8 bytes.
  case compact(Revision)
}

/// Kind 16: opens a session, which lives while it is kept alive.
///
///     size  field
///     8     time to live   milliseconds
///     2+n   label          who it is, for people: host and program
package struct OpenSession: Hashable, Sendable {
  package let ttl: UInt64
  package let label: [UInt8]

  package init(ttl: UInt64, label: [UInt8] = []) {
    self.ttl = ttl
    self.label = label
  }
}

/// Kind 19: asks what became of a request, and sees to it that nothing more can.
///
///     size  field
///     8     session
///     8     sequence   not 0
package struct Outcome: Hashable, Sendable {
  package let session: SessionID
  package let sequence: SequenceNumber

  package init(session: SessionID, sequence: SequenceNumber) {
    self.session = session
    self.sequence = sequence
  }
}

/// Kind 48: takes locks, all of them or none, now or when they become free.
///
///     size  field
///     1     flags     bit 0: may hold it already (one lock only)
///     8     owner     tells the threads of a session apart
///     8     wait      milliseconds; 0: don't; all ones: without end
///     8     delay     milliseconds that the locks rest if the session ends without a release
///     2     locks     from 1, and as many wants
///
/// A want:
///
///     size  field
///     1     mode      0 exclusive, 1 shared, 2 permits
///     4     taken     permits; 0 but for mode 2
///     4     total     permits that the lock has; 0 but for mode 2
///     2+n   name
package struct Acquire: Hashable, Sendable {
  /// How a lock is wanted.
  package enum Mode: Hashable, Sendable {
    case exclusive
    case shared
    case permits(UInt32, of: UInt32)
  }

  /// One lock, and how it is wanted.
  package struct Want: Hashable, Sendable {
    package let name: [UInt8]
    package let mode: Mode

    package init(_ name: [UInt8], _ mode: Mode = .exclusive) {
      self.name = name
      self.mode = mode
    }
  }

  package let wants: [Want]
  package let owner: UInt64
  package let wait: UInt64
  package let delay: UInt64
  package let isReentrant: Bool

  package init(
    _ wants: [Want],
    owner: UInt64 = 0,
    wait: UInt64 = .max,
    delay: UInt64 = 0,
    isReentrant: Bool = false
  ) {
    self.wants = wants
    self.owner = owner
    self.wait = wait
    self.delay = delay
    self.isReentrant = isReentrant
  }
}

/// Kind 49: gives back what a grant gave.
///
///     size  field
///     8     token
///     2+n   name    empty: every lock of the grant
package struct Release: Hashable, Sendable {
  package let token: UInt64
  package let name: [UInt8]

  package init(token: UInt64, name: [UInt8] = []) {
    self.token = token
    self.name = name
  }
}

/// Kind 52: from now on keys under the prefix may be written under a grant of the lock alone.
///
///     size  field
///     2+n   prefix
///     2+n   lock
package struct BindPrefix: Hashable, Sendable {
  package let prefix: [UInt8]
  package let lock: [UInt8]

  package init(prefix: [UInt8], lock: [UInt8]) {
    self.prefix = prefix
    self.lock = lock
  }
}
