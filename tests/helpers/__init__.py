"""What tests share: pages, configs, commands, damaged bytes, servers. No test, no fixture."""
