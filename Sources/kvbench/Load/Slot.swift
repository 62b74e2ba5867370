/// What a request does.
enum Work: UInt8, Sendable {
  case put
  /// The newest committed value.
  case get
  /// What one node has, which may be old.
  case staleGet
  /// Takes a lock of the slot's own, and gives it back.
  case lock
  /// Takes the one lock that all slots want, and gives it back.
  case contendedLock
  case grantLease
  case renewLease
}

/// A place for one request that is under way; as many as there are clients.
struct Slot: Sendable {
  var work = Work.put
  var isBusy = false
  /// How far a request of several steps is; the system's own count.
  var step: UInt8 = 0
  var key: UInt64 = 0
  /// When the request was meant to begin, in nanoseconds.
  var intended: UInt64 = 0
  /// The request's number in its session.
  var sequence: UInt64 = 0
  /// A lease or a token, whatever the system hands out.
  var number: UInt64 = 0
}
