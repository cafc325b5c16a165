# binding.gyp: the addon, with all of core compiled in. The C++ tests are built by CMakeLists.txt.
#
# libstdc++ is linked dynamically: Node brings it along, and the static one of a new toolchain calls
# for a newer glibc (arc4random, _dl_find_object) than Node itself.
#
# Warnings are errors with `node-gyp rebuild -- -Dwerror=1`, for us; not by default, since a user's
# compiler may know warnings that ours does not.
{
  "variables": { "werror%": 0 },
  "targets": [
    {
      "target_name": "bgworker",
      "sources": [
        "<!@(node -p \"require('node:fs').readdirSync('native', { recursive: true }).filter((file) => /^(core|addon).*[.]cc$/.test(file)).sort().map((file) => 'native/' + file).join(' ')\")"
      ],
      "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      # SWALLOW: an environment that ends runs its loop once more, and a descriptor that is readable
      # then calls back where no JavaScript may run. Without it, that aborts the process.
      "defines": [
        "NAPI_VERSION=9",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        "_GNU_SOURCE"
      ],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-Wno-unused-parameter", "-fexceptions"],
      "cflags_cc": [
        "-std=c++20",
        "-Wall",
        "-Wextra",
        "-fno-exceptions",
        "-fvisibility=hidden"
      ],
      # A symbol that is looked up when it is first called would be looked up in every child.
      "ldflags": ["-Wl,-z,now"],
      "conditions": [["werror==1", { "cflags_cc": ["-Werror"] }]]
    }
  ]
}
