// swift-tools-version: 6.3

import PackageDescription

/// The settings of every Swift target: the strictest that the toolchain has.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .define("EXPENSIVE_CHECKS", .when(traits: ["ExpensiveChecks"])),
  .define("PLANTED_BUGS", .when(configuration: .debug)),
  .define("PLANTED_BUGS", .when(traits: ["PlantedBugs"])),
]

/// A module lies in `Sources/Raft` and is imported as `RoostRaft`, so that an app that embeds a
/// node never sees two modules of one name.
///
/// Programs, which nobody imports, keep theirs.
func prefixed(_ names: [String]) -> [Target.Dependency] {
  names.map { .target(name: $0.first?.isUppercase == true ? "Roost" + $0 : $0) }
}

func library(_ name: String, _ uses: String...) -> Target {
  .target(
    name: "Roost" + name,
    dependencies: prefixed(uses),
    path: "Sources/" + name,
    swiftSettings: strict
  )
}

func header(_ name: String) -> Target {
  .target(name: "Roost" + name, path: "Sources/" + name)
}

func program(_ name: String, _ uses: String...) -> Target {
  .executableTarget(
    name: name,
    dependencies: prefixed(uses),
    path: "Sources/" + name,
    swiftSettings: strict
  )
}

func tests(_ name: String, _ uses: String..., exclude: [String] = []) -> Target {
  .testTarget(
    name: name + "Tests",
    dependencies: prefixed(uses) + [.target(name: "TestSupport")],
    path: "Tests/" + name + "Tests",
    exclude: exclude,
    swiftSettings: strict
  )
}

let package = Package(
  name: "roost",
  products: [
    .library(name: "RoostNode", targets: ["RoostNode"]),
    .library(name: "RoostClient", targets: ["RoostClient"]),
    .library(name: "RoostRecipes", targets: ["RoostRecipes"]),
    .library(name: "RoostSimulation", targets: ["RoostSimulation"]),
    .executable(name: "kvd", targets: ["kvd"]),
    .executable(name: "kvctl", targets: ["kvctl"]),
    .executable(name: "kvsim", targets: ["kvsim"]),
    .executable(name: "kvbench", targets: ["kvbench"]),
  ],
  traits: [
    .trait(name: "ExpensiveChecks", description: "Invariants that cost O(n) are checked too."),
    .trait(name: "PlantedBugs", description: "Flaws can be switched on, to test the tests."),
  ],
  targets: [
    // C headers: what Swift cannot say.
    header("CChecksum"),
    header("CLinux"),

    // Pure: no clock, no dice, no sockets, no files, no locks, no async.
    library("Wire", "CChecksum"),
    library("Raft", "Wire"),
    library("StateMachine", "Wire"),
    library("Journal", "Raft", "Wire"),
    library("Replica", "Raft", "StateMachine", "Wire"),
    library("ClientCore", "Wire"),
    library("Simulation", "ClientCore", "Journal", "Raft", "Replica", "StateMachine", "Wire"),

    // The edge: the only place that meets the system.
    library("Platform", "CLinux"),
    library("Node", "Journal", "Platform", "Raft", "Replica", "StateMachine", "Wire"),
    library("Client", "ClientCore", "Platform", "Wire"),
    library("Recipes", "Client"),

    // Programs: arguments in, exit code out.
    program("kvd", "Node"),
    program("kvctl", "Client", "Node"),
    program("kvsim", "Raft", "Simulation"),
    program("kvbench", "ClientCore", "Journal", "Node", "Platform", "Raft", "StateMachine", "Wire"),

    // Tests: one folder a module, and those that hold the whole.
    .testTarget(
      name: "TestSupport",
      dependencies: prefixed(["Platform", "Wire"]),
      path: "Tests/TestSupport",
      swiftSettings: strict
    ),
    tests("Wire", "Wire"),
    tests("Raft", "Raft", "Wire", exclude: ["Scenarios"]),
    tests("StateMachine", "StateMachine", "Wire", exclude: ["Scenarios"]),
    tests("Journal", "Journal", "Raft", "Simulation", "Wire", exclude: ["Fixtures"]),
    tests("Replica", "Raft", "Replica", "StateMachine", "Wire"),
    tests("ClientCore", "ClientCore", "Wire"),
    tests("Simulation", "ClientCore", "Raft", "Simulation", "StateMachine", "Wire"),
    tests("Platform", "Platform"),
    tests("Node", "Client", "Journal", "Node", "Platform", "Raft", "Wire"),
    tests("Recipes", "Client", "Node", "Recipes"),
    tests(
      "EndToEnd",
      "Client",
      "ClientCore",
      "Node",
      "Platform",
      "Simulation",
      "Wire",
      "kvctl",
      "kvd"
    ),
    tests("kvbench", "Platform", "Wire", "kvbench"),
    tests("Tidy"),
  ]
)

// libFuzzer brings its own `main`, so the fuzzer is no part of any other build: Docs/CONTRIBUTING.md.
if Context.environment["ROOST_FUZZER"] != nil {
  package.targets.append(
    .executableTarget(
      name: "kvfuzz",
      dependencies: prefixed(["Journal", "Raft", "Simulation", "Wire"]),
      path: "Tests/Fuzzing",
      swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]
    )
  )
}
