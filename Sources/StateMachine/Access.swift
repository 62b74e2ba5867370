package import RoostWire

/// One thing that a command or a query would see or touch, for the question whether the caller may.
package enum Access: Hashable, Sendable {
  case read(KeyRange)
  case write(KeyRange)
  /// Makes keys live as long as a lease or a session.
  case attach(UInt64)
  case lease(UInt64)
  case lock([UInt8])
  /// Sees or changes what belongs to others: forced releases, bindings, compaction, lists.
  case administer
}

extension Access {
  private static func key(_ key: [UInt8]) -> KeyRange { KeyRange(from: key, to: key + [0]) }

  /// Shows `body` every access of a command: of nested transactions, previous values and leases too.
  package static func forEach(in command: Command, _ body: (Access) -> Void) {
    switch command {
    case .operation(let operation): forEach(in: operation, body)
    case .openSession, .keepAlive, .closeSession, .cancelAcquire, .release: break
    case .outcome: body(.administer)
    case .grantLease: break
    case .renewLeases(let ids): for id in ids { body(.lease(id)) }
    case .revokeLease(let id): body(.lease(id))
    case .acquire(let acquire): for want in acquire.wants { body(.lock(want.name)) }
    case .forceRelease(let name):
      body(.lock(name))
      body(.administer)
    case .bindPrefix(let bind):
      body(.lock(bind.lock))
      body(.write(KeyRange(prefix: bind.prefix)))
      body(.administer)
    case .unbindPrefix(let prefix):
      body(.write(KeyRange(prefix: prefix)))
      body(.administer)
    case .compact: body(.administer)
    }
  }

  package static func forEach(in operation: Operation, _ body: (Access) -> Void) {
    switch operation {
    case .put(let put):
      forEach(in: put.options, of: put.key, body)
    case .update(let update):
      body(.read(key(update.key)))
      forEach(in: update.options, of: update.key, body)
    case .delete(let delete):
      forEach(in: delete.options, of: delete.key, body)
    case .deleteRange(let delete):
      body(.write(delete.range))
      if delete.wantsPrevious { body(.read(delete.range)) }
      if let lock = delete.lockGuard?.lock { body(.lock(lock)) }
    case .get(let get): body(.read(key(get.key)))
    case .range(let range): body(.read(range.range))
    case .transaction(let transaction):
      for compare in transaction.compares { forEach(in: compare, body) }
      for operation in transaction.then { forEach(in: operation, body) }
      for operation in transaction.otherwise { forEach(in: operation, body) }
    }
  }

  private static func forEach(
    in options: WriteOptions,
    of key: [UInt8],
    _ body: (Access) -> Void
  ) {
    body(.write(Self.key(key)))
    if options.wantsPrevious || options.condition != nil { body(.read(Self.key(key))) }
    if case .lease(let id) = options.lifetime { body(.attach(id)) }
    if let lock = options.lockGuard?.lock { body(.lock(lock)) }
  }

  private static func forEach(in compare: Compare, _ body: (Access) -> Void) {
    switch compare.subject {
    case .created(let key, _), .modified(let key, _), .version(let key, _), .lease(let key, _),
      .value(let key, _), .exists(let key, _):
      body(.read(Self.key(key)))
    case .count(let range, _): body(.read(range))
    case .lockHeld(let lockGuard): body(.lock(lockGuard.lock))
    }
  }

  /// Shows `body` every access of a query.
  package static func forEach(in query: Query, _ body: (Access) -> Void) {
    switch query {
    case .get(let get): forEach(in: Operation.get(get), body)
    case .range(let range): body(.read(range.range))
    case .status: break
    case .sessions, .leases, .locks: body(.administer)
    case .lease(let id, _):
      body(.lease(id))
      body(.administer)
    case .lock(let name, _): body(.lock(name))
    }
  }
}
