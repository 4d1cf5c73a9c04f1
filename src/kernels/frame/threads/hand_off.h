// How long a thread takes to start with what another one asks of it.
#pragma once

namespace raptors {

// How long a hand-off takes: the time from the start of a call to the end of a worker's chunk, for
// a worker that waits, and one that sleeps; 0: no worker could be started. For calibration.
struct HandOff {
    double hot_ns, parked_ns;
};
HandOff measure_hand_off() noexcept;

}  // namespace raptors
