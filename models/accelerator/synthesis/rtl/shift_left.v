// A barrel shifter: zeros come in from the right.
module shift_left #(
    parameter W = 8,
    parameter S = 3  // bits of the amount
) (
    input [W-1:0] x,
    input [S-1:0] amount,
    output [W-1:0] y
);
    assign y = x << amount;
endmodule
