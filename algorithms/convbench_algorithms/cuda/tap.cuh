// What kernels that gather their columns are told of each tap. How they load is alike, and written out in each: in one
// place for both, the assembler spilled, and the 128 × 128 tile took a 129th register.
#pragma once

struct Tap {  // of the filter: where in x it is, from the output's place on
    int channel, row, col, unused;
};
