/// The answer to a request or a query.
///
///     offset  size  field
///     0       2     code   0: it was done; else a failure, as in `Failure`
///     2       1     kind   as below
///     3       ...   body
package enum Reply: Hashable, Sendable {
  case failure(Failure)
  /// Kind 0: done, and there is nothing to say about it.
  case done
  /// Kind 1: a key was given a value.
  case written(Written)
  /// Kind 2: keys were removed.
  case deleted(Deleted)
  /// Kind 3: one key, if it is there.
  case value(revision: Revision, KeyValue?)
  /// Kind 4: some keys of a range.
  case page(Page)
  /// Kind 5: what each operation of a transaction answered.
  case transaction(TransactionReply)
  /// Kind 6: a session is open.
  case sessionOpened(SessionOpened)
  /// Kind 7: a lease is granted.
  case leaseGranted(id: UInt64, ttl: UInt64)
  /// Kind 8: for each lease of a renewal, whether it still lives.
  case renewed([Bool])
  /// Kind 9: where an `acquire` stands.
  case lock(LockState)
  /// Kind 10: a lock was given back; how often the owner still holds it.
  case released(depth: UInt32)
  /// Kind 11: what became of a request.
  case outcome(OutcomeReply)
  /// Kind 12: a watch has begun; the first revision that it will be told of.
  case watching(from: Revision)
  /// Kind 13: a node's own state answers, which heard a leader so many nanoseconds ago.
  indirect case observed(age: UInt64, Reply)
  /// Kinds 32 and up: how things stand.
  case inspection(Inspection)
}

/// A key with its value and its history's numbers.
///
///     size  field
///     2+n   key
///     4+n   value
///     8     creation revision
///     8     modification revision
///     8     version              1 for a key just created
///     8     lease or session     0: none
package struct KeyValue: Hashable, Sendable {
  package let key: [UInt8]
  package let value: [UInt8]
  package let created: Revision
  package let modified: Revision
  package let version: UInt64
  package let lease: UInt64

  package init(
    key: [UInt8],
    value: [UInt8],
    revisions: (created: Revision, modified: Revision),
    version: UInt64,
    lease: UInt64 = 0
  ) {
    self.key = key
    self.value = value
    created = revisions.created
    modified = revisions.modified
    self.version = version
    self.lease = lease
  }
}

/// Kind 1.
///
///     size  field
///     1     flags     bit 0: previous follows; bit 1: number follows
///     8     revision
///     8     version   of the key
///     8     number    the new value of an add, min or max, signed; of an append, its new length
///     ...   previous  a key and value
package struct Written: Hashable, Sendable {
  package let revision: Revision
  package let version: UInt64
  package let number: Int64?
  package let previous: KeyValue?

  package init(
    revision: Revision,
    version: UInt64,
    number: Int64? = nil,
    previous: KeyValue? = nil
  ) {
    self.revision = revision
    self.version = version
    self.number = number
    self.previous = previous
  }
}

/// Kind 2.
///
///     size  field
///     8     revision   of the store afterwards
///     8     count      of removed keys
///     1     more       1: a limit was reached, and keys are left
///     4     previous   how many follow
///     ...   keys and values
package struct Deleted: Hashable, Sendable {
  package let revision: Revision
  package let count: UInt64
  package let more: Bool
  package let previous: [KeyValue]

  package init(
    revision: Revision,
    count: UInt64,
    more: Bool = false,
    previous: [KeyValue] = []
  ) {
    self.revision = revision
    self.count = count
    self.more = more
    self.previous = previous
  }
}

/// Kind 4.
///
///     size  field
///     8     revision  that was read
///     8     count     of keys seen on this page; for a query of the number alone, their number
///     1     more      1: keys may be left; ask again at this revision, beyond `next`
///     2+n   next      forward the first key to ask for, in reverse the end of what is left
///     4     entries   how many follow
///     ...   keys and values
package struct Page: Hashable, Sendable {
  package let revision: Revision
  package let count: UInt64
  /// Where to go on, or nil at the end.
  package let next: [UInt8]?
  package let entries: [KeyValue]

  package init(revision: Revision, count: UInt64, next: [UInt8]?, entries: [KeyValue]) {
    self.revision = revision
    self.count = count
    self.next = next
    self.entries = entries
  }
}

/// Kind 5.
///
///     size  field
///     8     revision   of the store afterwards
///     1     succeeded  1: all compares held and `then` ran; 0: `otherwise` ran
///     2     results    how many follow
///     ...   replies, each behind its length in 4 bytes
package struct TransactionReply: Hashable, Sendable {
  package let revision: Revision
  package let succeeded: Bool
  package let results: [Reply]

  package init(revision: Revision, succeeded: Bool, results: [Reply]) {
    self.revision = revision
    self.succeeded = succeeded
    self.results = results
  }
}

/// Kind 6.
///
///     size  field
///     8     session
///     8     time to live   milliseconds, as granted
///     8     cluster time   when it was opened, nanoseconds
package struct SessionOpened: Hashable, Sendable {
  package let session: SessionID
  package let ttl: UInt64
  package let time: ClusterTime

  package init(session: SessionID, ttl: UInt64, time: ClusterTime) {
    self.session = session
    self.ttl = ttl
    self.time = time
  }
}

/// Kind 9.
///
///     size  field
///     1     state      0 waiting, 1 granted
///     8     number     waiting: claims ahead, at most; granted: the fencing token
package enum LockState: Hashable, Sendable {
  case waiting(ahead: UInt64)
  case granted(token: UInt64)
}

/// Kind 11.
///
///     size  field
///     1     state   0 executed, 1 barred, 2 forgotten, 3 waits for a lock
///     4+n   reply   of the execution; for 0 alone
package enum OutcomeReply: Hashable, Sendable {
  /// It was executed, and this was its reply.
  indirect case executed(Reply)
  /// It was not executed and never will be.
  case barred
  /// The session is gone or has acknowledged the reply: nobody knows any more.
  case forgotten
  /// It was executed, and waits for a lock.
  case waiting
}
