import RoostWire

/// Who can reach whom, and how long it takes: the virtual cables between nodes and clients.
///
/// Places are counted through: first the nodes, then the clients.
struct SimulatedNetwork {
  /// What becomes of one packet.
  struct Fate {
    /// When copies of it arrive; none: it is lost.
    var arrivals: [UInt64]
    var isSpoilt: Bool
  }

  let placeCount: Int
  var weather: Weather
  /// What is in force over the usual weather, newest last.
  var storms: [Weather] = []
  private var random: SplitMix64
  /// By how many faults the way from one place to another is shut.
  private var shut: [Int]
  /// How much longer each way takes.
  private var slowness: [UInt64]
  /// When the last packet on each way arrives.
  private var lastArrival: [UInt64]

  init(placeCount: Int, weather: Weather, random: SplitMix64) {
    self.placeCount = placeCount
    self.weather = weather
    self.random = random
    shut = [Int](repeating: 0, count: placeCount * placeCount)
    slowness = [UInt64](repeating: 0, count: placeCount * placeCount)
    lastArrival = [UInt64](repeating: 0, count: placeCount * placeCount)
  }

  func isShut(from: Int, to: Int) -> Bool { shut[from * placeCount + to] > 0 }

  mutating func shut(from: Int, to: Int, by change: Int) {
    shut[from * placeCount + to] += change
    precondition(shut[from * placeCount + to] >= 0, "a way is opened as often as it was shut")
  }

  /// Makes a way slower by so many nanoseconds, or, if they are less than 0, faster again.
  mutating func slowDown(from: Int, to: Int, by change: Int64) {
    let place = from * placeCount + to
    slowness[place] = UInt64(Int64(slowness[place]) + change)
  }

  /// Shuts (or, by -1, opens) every way between two groups of places.
  mutating func part(_ side: [Int], from others: [Int], by change: Int) {
    for one in side {
      for other in others where one != other {
        shut(from: one, to: other, by: change)
        shut(from: other, to: one, by: change)
      }
    }
  }

  mutating func calm() {
    storms = []
    weather = Weather()
    shut = [Int](repeating: 0, count: placeCount * placeCount)
    slowness = [UInt64](repeating: 0, count: placeCount * placeCount)
  }

  private var current: Weather { storms.last ?? weather }

  /// Sends a packet that may be lost, repeated, delayed and overtaken.
  mutating func send(from: Int, to: Int, at now: UInt64) -> Fate {
    let weather = current
    var fate = Fate(arrivals: [], isSpoilt: false)
    if weather.lossPermille > 0, random.chance(weather.lossPermille, in: 1000) { return fate }
    fate.arrivals.append(arrival(from, to, now, weather))
    if weather.duplicationPermille > 0, random.chance(weather.duplicationPermille, in: 1000) {
      fate.arrivals.append(arrival(from, to, now, weather))
    }
    if weather.corruptionPermille > 0 {
      fate.isSpoilt = random.chance(weather.corruptionPermille, in: 1000)
    }
    return fate
  }

  private mutating func arrival(
    _ from: Int,
    _ to: Int,
    _ now: UInt64,
    _ weather: Weather
  ) -> UInt64 {
    if weather.slowPermille > 0, random.chance(weather.slowPermille, in: 1000) {
      return now + random.draw(from: weather.delay.lowerBound...weather.slowDelay)
    }
    let place = from * placeCount + to
    let time = now + random.draw(from: weather.delay) + slowness[place]
    if weather.reorders { return time }
    lastArrival[place] = max(time, lastArrival[place] + 1)
    return lastArrival[place]
  }

  /// How long the next chunk of a byte stream takes; what is lost below it is sent again.
  mutating func streamDelay(from: Int, to: Int) -> UInt64 {
    let weather = current
    var delay = random.draw(from: weather.delay) + slowness[from * placeCount + to]
    if weather.lossPermille > 0, random.chance(weather.lossPermille, in: 1000) {
      delay += 200_000_000
    }
    if weather.slowPermille > 0, random.chance(weather.slowPermille, in: 1000) {
      delay += random.below(weather.slowDelay)
    }
    return delay
  }

  /// Whether a chunk of a byte stream is spoilt on its way.
  mutating func spoilsChunk() -> Bool {
    let permille = current.corruptionPermille
    return permille > 0 && random.chance(permille, in: 1000)
  }

  /// How much of a chunk arrives in the first piece.
  mutating func firstPiece(of byteCount: Int) -> Int {
    guard byteCount > 1, random.chance(1, in: 8) else { return byteCount }
    return 1 + Int(random.below(UInt64(byteCount - 1)))
  }

  mutating func flipBit(in bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    let bit = Int(random.below(UInt64(bytes.count) * 8))
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
  }

  mutating func draw(_ range: ClosedRange<UInt64>) -> UInt64 { random.draw(from: range) }
  mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool {
    random.chance(numerator, in: denominator)
  }
}

/// One direction of a connection: bytes arrive in order, in pieces of any size, late, or never.
final class Pipe {
  /// Who reads at the other end.
  enum Reader {
    case node(ClientConnection)
    case client(ClientConnection)
    case member(PeerLink)
  }

  let from: Int
  let to: Int
  let reader: Reader
  var isOpen = true
  /// Whether the front is on its way.
  var isMoving = false
  private var waiting: [UInt8] = []

  init(from: Int, to: Int, reader: Reader) {
    self.from = from
    self.to = to
    self.reader = reader
  }

  var byteCount: Int { waiting.count }

  func add(_ bytes: [UInt8]) { waiting += bytes }

  /// Puts back what was taken and did not arrive.
  func putBack(_ bytes: [UInt8]) { waiting = bytes + waiting }

  func take(_ byteCount: Int) -> [UInt8] {
    guard byteCount < waiting.count else {
      defer { waiting = [] }
      return waiting
    }
    let piece = [UInt8](waiting.prefix(byteCount))
    waiting.removeFirst(byteCount)
    return piece
  }
}

/// A client's connection to a node.
final class ClientConnection {
  let client: Int
  /// Which of the processes that were this client it belongs to.
  let generation: Int
  let link: UInt64
  let node: Int
  /// Which start of the node accepted it.
  var life: UInt64 = 0
  /// The node's name for it.
  var token: UInt64 = 0
  var upward: Pipe?
  var downward: Pipe?
  var isGreeted = false
  var isOpenAtNode = false
  /// What the node has received of a frame that is not complete.
  var partial: [UInt8] = []
  /// Replies that wait for the end of the turn.
  var outbox: [UInt8] = []
  /// Whether there were ever watches on it.
  var watches = false
  /// Bytes of watch events that have not left the node.
  var unsentEvents = 0
  /// What the node was asked and has not answered: for each correlation what the answer must contain at least.
  var owed: [UInt64: LogIndex] = [:]

  init(client: Int, generation: Int, link: UInt64, node: Int) {
    self.client = client
    self.generation = generation
    self.link = link
    self.node = node
  }
}

/// One node's way to another member.
final class PeerLink {
  let from: Int
  let to: Int
  let life: UInt64
  var pipe: Pipe?
  var isDialling = false
  var nextAttempt: UInt64
  var failures: UInt64 = 0
  /// The start of the other node that the connection reaches.
  var reachedLife: UInt64 = 0
  /// What the other node has received of a frame that is not complete.
  var partial: [UInt8] = []

  init(from: Int, to: Int, life: UInt64, now: UInt64) {
    self.from = from
    self.to = to
    self.life = life
    nextAttempt = now
  }
}
