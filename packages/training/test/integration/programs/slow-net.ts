// Takes longer to load than anybody waits.
for (let now = 0; now >= 0; now++) continue;

export {};
