import Testing

/// The import table of Docs/ARCHITECTURE.md, checked.
///
/// The build tool accepts an import of anything that some other target brings along, so that an upward import would
/// otherwise pass without a word.
@Suite struct ArchitectureTests {
  private static let mayImport: [String: Set<String>] = [
    "Wire": ["RoostCChecksum"],
    "Raft": ["RoostWire"],
    "StateMachine": ["RoostWire"],
    "Journal": ["RoostRaft", "RoostWire"],
    "Replica": ["RoostRaft", "RoostStateMachine", "RoostWire"],
    "ClientCore": ["RoostWire"],
    "Simulation": [
      "RoostClientCore", "RoostJournal", "RoostRaft", "RoostReplica", "RoostStateMachine",
      "RoostWire",
    ],
    "Platform": ["Glibc", "RoostCLinux", "Synchronization"],
    "Node": [
      "RoostJournal", "RoostPlatform", "RoostRaft", "RoostReplica", "RoostStateMachine",
      "RoostWire",
      "Synchronization",
    ],
    "Client": ["RoostClientCore", "RoostPlatform", "RoostWire", "Synchronization"],
    "Recipes": ["RoostClient"],
    "kvd": ["RoostNode", "RoostPlatform"],
    "kvctl": ["RoostClient", "RoostNode", "RoostPlatform", "RoostWire"],
    "kvsim": ["Glibc", "RoostRaft", "RoostSimulation"],
    "kvbench": [
      "Glibc", "RoostClientCore", "RoostJournal", "RoostNode", "RoostPlatform", "RoostRaft",
      "RoostStateMachine", "RoostWire",
    ],
  ]

  /// Modules that are a function of their inputs alone.
  private static let pure = [
    "ClientCore", "Journal", "Raft", "Replica", "Simulation", "StateMachine", "Wire",
  ]

  @Test(arguments: mayImport.keys.sorted())
  func importsPointDownwards(module: String) throws {
    let allowed = try #require(Self.mayImport[module])
    let files = try SourceFile.all(in: "Sources/" + module)
    #expect(!files.isEmpty, "\(module) has no files")
    for file in files {
      for imported in file.imports where !allowed.contains(imported) {
        Issue.record("\(file.path) imports \(imported), which lies above it or beside it")
      }
    }
  }

  @Test func everyModuleStandsInTheTable() throws {
    let files = try SourceFile.all(in: "Sources")
    let modules = Set(files.compactMap { $0.path.split(separator: "/").dropFirst().first })
    #expect(modules.map(String.init).sorted() == Self.mayImport.keys.sorted())
  }

  @Test func everyModuleSaysWhatItOwns() throws {
    for module in Self.mayImport.keys.sorted() {
      let name = module.first?.isUppercase == true ? module : "main"
      let head = try SourceFile("Sources/\(module)/\(name).swift").text.prefix { $0 != "\n" }
      #expect(head.hasPrefix("// "), "\(module)/\(name).swift opens with what the module is")
      let text = try SourceFile("Sources/\(module)/\(name).swift").text
      let owns = text.contains("Owns ") || text.contains("owns ")
      #expect(owns && text.contains("eaves"), "\(module) says what it owns and what it leaves")
    }
  }

  @Test(arguments: pure)
  func theCoreNeitherWaitsNorRollsDice(module: String) throws {
    let banned = [
      "await ", "async ", "Task {", "Task.", ".randomElement()", ".shuffled()", ".random(in:",
      ".hashValue", "Mutex", "ContinuousClock", "SuspendingClock", "DispatchQueue",
    ]
    for file in try SourceFile.all(in: "Sources/" + module) {
      for (number, line) in file.code.enumerated() {
        for word in banned where line.contains(word) {
          Issue.record("\(file.path):\(number + 1) uses '\(word)' in a pure module")
        }
      }
    }
  }

  @Test func asyncStaysAtTheEdge() throws {
    let edge: Set<String> = [
      "Node", "Client", "Recipes", "Platform", "kvd", "kvctl", "kvsim", "kvbench",
    ]
    for module in Self.mayImport.keys.sorted() where !edge.contains(module) {
      for file in try SourceFile.all(in: "Sources/" + module) {
        #expect(!file.code.contains { $0.contains(" async") }, "\(file.path)")
      }
    }
  }
}
