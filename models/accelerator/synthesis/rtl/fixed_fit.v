// A two's-complement integer brought to fewer bits.
module fixed_fit #(
    parameter IN = 9,
    parameter OUT = 8,      // fewer than IN
    parameter SATURATE = 1  // 0: wraps
) (
    input [IN-1:0] x,
    output [OUT-1:0] y
);
    wire fits = &x[IN-1:OUT-1] | ~|x[IN-1:OUT-1];
    wire [OUT-1:0] end_of_range = {x[IN-1], {(OUT-1){~x[IN-1]}}};
    assign y = !SATURATE | fits ? x[OUT-1:0] : end_of_range;
endmodule
