import RoostClientCore
import RoostWire

/// A program that uses the shipped client: its calls, its clock, its connections.
final class SimulatedClient {
  let number: Int
  let plan: ClientPlan
  /// How many processes were this client before.
  private(set) var generation = 0
  var machine: ClientMachine
  /// The watches that it has, with their places in the record of watches.
  var watches: [WatchID: Int] = [:]
  var clock: VirtualClock
  var random: SplitMix64
  var effects = ClientEffects()
  var connections: [UInt64: ClientConnection] = [:]
  /// The calls that are under way: their places in the history, and their lanes.
  var calls: [CallID: (place: Int, lane: Int)] = [:]
  var nextTick: UInt64 = .max
  /// What lanes do next, because of what they did last.
  var next: [Int: CallKind] = [:]
  /// Tokens of locks that it was granted.
  var knownTokens: [UInt64] = []
  var knownLeases: [UInt64] = []
  /// Leases that its machine keeps alive, oldest first.
  var keptLeases: [UInt64] = []
  var lastRevision: Revision?
  /// The newest that any answer has shown to this process.
  var newestRevision = Revision.zero
  /// Requests whose outcome it does not know.
  var doubts: [Outcome] = []

  init(
    number: Int,
    plan: ClientPlan,
    endpoints: [String],
    clock: VirtualClock,
    random: SplitMix64
  ) {
    self.number = number
    self.plan = plan
    self.clock = clock
    self.random = random
    machine = Self.machine(plan, number, endpoints, self.random.split())
  }

  private static func machine(
    _ plan: ClientPlan,
    _ number: Int,
    _ endpoints: [String],
    _ random: SplitMix64
  ) -> ClientMachine {
    var settings = ClientSettings()
    if plan.hasSession { settings.identity = .session(ttl: nanoseconds(plan.sessionTTL)) }
    settings.label = Array("client \(number + 1)".utf8)
    return ClientMachine(endpoints: endpoints, settings: settings, random: random)
  }

  /// The process ends, with all that it knew, and another begins.
  func replace(endpoints: [String]) {
    generation += 1
    calls = [:]
    watches = [:]
    connections = [:]
    effects = ClientEffects()
    nextTick = .max
    next = [:]
    newestRevision = .zero
    knownTokens = []
    keptLeases = []
    machine = Self.machine(plan, number, endpoints, random.split())
  }

  func now(_ world: UInt64) -> Instant { clock.local(at: world) }

  func call(_ kind: CallKind, lane: Int, place: Int, at world: UInt64) {
    let now = now(world)
    let deadline = now.advanced(byNanoseconds: plan.timeout)
    let id = machine.call(kind, deadline: deadline, now: now, into: &effects)
    calls[id] = (place, lane)
  }

  func tick(at world: UInt64) {
    let now = now(world)
    if now >= machine.nextDeadline { machine.tick(now: now, into: &effects) }
  }

  func didConnect(_ link: UInt64, at world: UInt64) {
    machine.didConnect(LinkID(link), now: now(world), into: &effects)
  }

  func didReceive(_ bytes: [UInt8], on link: UInt64, at world: UInt64) {
    machine.didReceive(bytes.span, on: LinkID(link), now: now(world), into: &effects)
  }

  func didBreak(_ link: UInt64, because reason: String, at world: UInt64) {
    machine.didBreak(LinkID(link), because: reason, now: now(world), into: &effects)
  }
}

func nanoseconds(_ count: UInt64) -> Duration { .nanoseconds(Int64(count)) }
