// accumulator + a·b in two's complement, saturating or wrapping.
module int_mac #(
    parameter WA = 8,
    parameter WB = 8,
    parameter W = 32,
    parameter SATURATE = 1
) (
    input signed [WA-1:0] a,
    input signed [WB-1:0] b,
    input signed [W-1:0] accumulator,
    output [W-1:0] sum
);
    localparam T = (W > WA + WB ? W : WA + WB) + 1;
    wire signed [WA+WB-1:0] product = a * b;
    wire signed [T-1:0] total = accumulator + product;
    fixed_fit #(.IN(T), .OUT(W), .SATURATE(SATURATE)) fit (.x(total), .y(sum));
endmodule
